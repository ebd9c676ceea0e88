// The user's own account: password, sessions and tokens for programs.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../api/http';
import type { CommandResult, Shown } from '../api/types';
import { dateTime, t } from '../i18n';
import { can, me, myKey } from '../state/session';
import { tell, tellError } from '../state/toasts';
import { Empty, Field } from '../ui/parts';

interface Token {
  id: string;
  name: string;
  at: string;
  expires_at?: string | null;
}

interface Session {
  id: string;
  at: string;
  from?: string | null;
}

interface Account {
  tokens: Token[];
  sessions: Session[];
}

const HOUR = 3_600_000;
const DAYS = [7, 30, 90, 365];

/** What went wrong with a request, if anything did. */
async function wrong(request: Promise<CommandResult | null>): Promise<string> {
  try {
    const result = await request;
    return result?.ok === false ? (result.refusal?.message ?? '') : '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export function AccountPage() {
  const [account, setAccount] = useState<Account | null>(null);
  const path = `users/${encodeURIComponent(myKey())}`;
  const load = () => {
    http.get<Shown<Account>>(path).then((shown) => setAccount(shown.state), tellError);
  };
  useEffect(load, []);
  return (
    <main class="page account">
      <h1>{me.value?.name || me.value?.user}</h1>
      <Password path={path} />
      {can('token.own') && <Tokens path={path} tokens={account?.tokens ?? []} reload={load} />}
      <section>
        <h2>{t('account.sessions')}</h2>
        <ul class="plain">
          {account?.sessions.map((session) => (
            <li key={session.id}>
              {dateTime(session.at)} <span class="muted">{session.from}</span>
            </li>
          ))}
        </ul>
      </section>
    </main>
  );
}

function Password({ path }: { path: string }) {
  const [failed, setFailed] = useState('');
  async function change(event: SubmitEvent) {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const body = { present: given.get('present'), password: given.get('password') };
    const problem = await wrong(http.post<CommandResult>(`${path}/password`, body));
    setFailed(problem);
    if (problem) return;
    tell(t('users.passwordSet'));
    form.reset();
  }
  return (
    <section>
      <h2>{t('account.password')}</h2>
      <form class="form-row" onSubmit={change}>
        <Field label={t('account.present')}>
          <input type="password" name="present" required autocomplete="current-password" />
        </Field>
        <Field label={t('users.password')}>
          <input type="password" name="password" required minlength={10} autocomplete="new-password" />
        </Field>
        <button type="submit">{t('users.setPassword')}</button>
      </form>
      <p class="form-error" role="alert">
        {failed}
      </p>
    </section>
  );
}

function Tokens({ path, tokens, reload }: { path: string; tokens: Token[]; reload(): void }) {
  const [secret, setSecret] = useState('');
  const [failed, setFailed] = useState('');

  async function issue(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const expires_at = new Date(Date.now() + Number(given.get('days')) * 24 * HOUR).toISOString();
    setFailed('');
    try {
      const issued = await http.post<{ token: string }>(`${path}/tokens`, {
        name: given.get('name'),
        expires_at,
      });
      setSecret(issued.token);
      reload();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  }

  async function revoke(token: Token) {
    setFailed(await wrong(http.remove<CommandResult>(`${path}/tokens/${encodeURIComponent(token.id)}`)));
    reload();
  }

  return (
    <section>
      <h2>{t('account.tokens')}</h2>
      {tokens.length === 0 && <Empty>{t('account.noTokens')}</Empty>}
      <ul class="plain">
        {tokens.map((token) => (
          <li key={token.id} class="version-head">
            <strong>{token.name}</strong>
            <span class="muted">
              {token.expires_at && t('account.until', { at: dateTime(token.expires_at) })}
            </span>
            <button type="button" class="link" onClick={() => revoke(token)}>
              {t('account.revoke', { name: token.name })}
            </button>
          </li>
        ))}
      </ul>
      <form class="form-row" onSubmit={issue}>
        <Field label={t('account.tokenName')}>
          <input name="name" required maxlength={200} />
        </Field>
        <Field label={t('account.days')}>
          <select name="days">
            {DAYS.map((days) => (
              <option key={days} value={days} selected={days === 30}>
                {days}
              </option>
            ))}
          </select>
        </Field>
        <button type="submit">{t('account.issue')}</button>
      </form>
      <p class="form-error" role="alert">
        {failed}
      </p>
      {secret && (
        <p role="status">
          {t('account.secret')} <code class="secret">{secret}</code>
        </p>
      )}
    </section>
  );
}
