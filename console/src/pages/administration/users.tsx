// Users: who may sign in, with which roles, and how far those reach.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../../api/http';
import type { Fields } from '../../api/types';
import { dateTime, t, tv } from '../../i18n';
import { go, href } from '../../state/route';
import { can } from '../../state/session';
import { queueNames } from '../../state/tenant';
import { tell, tellError } from '../../state/toasts';
import { Empty, Field } from '../../ui/parts';

type Scope = 'own' | 'my_queues' | 'all' | { queues: string[] };

/** As the list of users shows one. */
interface User {
  id: string;
  name: string;
  grants: { role: string; scope: Scope }[];
  has_password?: boolean;
  sessions?: number;
  tokens?: number;
  disabled_at?: string | null;
  signed_in_at?: string | null;
}

const NEW = '+new';
const ROLES = ['agent', 'supervisor', 'administrator', 'analyst', 'service'];
const SCOPES = ['all', 'my_queues', 'own', 'queues'];

function scopeWords(scope: Scope): string {
  return typeof scope === 'object' ? scope.queues.join(', ') : tv('scope', scope);
}

export function UsersAdmin({ open }: { open?: string }) {
  const [users, setUsers] = useState<User[] | null>(null);
  const load = () => {
    http.everything<User>('users').then(setUsers, tellError);
  };
  useEffect(load, []);
  const user = users?.find((one) => one.id === open);
  return (
    <div class="split">
      <section class="split-list" aria-label={t('admin.users')}>
        <div class="split-head split-title">
          <h1>{t('admin.users')}</h1>
          {can('user.manage') && (
            <button type="button" onClick={() => go('admin', 'users', NEW)}>
              {t('users.new')}
            </button>
          )}
        </div>
        {users?.length === 0 && <Empty>{t('users.none')}</Empty>}
        <ul>
          {users?.map((one) => (
            <li key={one.id}>
              <a href={href('admin', 'users', one.id)} aria-current={one.id === open ? 'true' : undefined}>
                <span class="clip">{one.name || one.id}</span>
                <span class="split-facts muted">
                  <span>{one.id}</span>
                  <span>{one.grants.map((grant) => tv('role', grant.role)).join(', ')}</span>
                  {one.disabled_at && <span class="badge bad">{t('users.disabled')}</span>}
                </span>
              </a>
            </li>
          ))}
        </ul>
      </section>
      <section class="split-body" aria-label={t('admin.users')}>
        {open === NEW ? (
          <NewUser onChange={load} />
        ) : user ? (
          <UserForm key={user.id} user={user} onChange={load} />
        ) : (
          <Empty>{t('users.choose')}</Empty>
        )}
      </section>
    </div>
  );
}

/** Carries a change out, and gives back what was wrong with it. */
async function change(user: string, command: Fields): Promise<string> {
  try {
    const result = await http.commandOver(`users/${encodeURIComponent(user)}`, command);
    return result.ok ? '' : (result.refusal?.message ?? '');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function RoleFields() {
  const [scope, setScope] = useState('all');
  return (
    <div class="form-row">
      <Field label={t('users.role')}>
        <select name="role">
          {ROLES.map((role) => (
            <option key={role} value={role}>
              {tv('role', role)}
            </option>
          ))}
        </select>
      </Field>
      <Field label={t('users.reach')}>
        <select name="scope" value={scope} onChange={(event) => setScope(event.currentTarget.value)}>
          {SCOPES.map((one) => (
            <option key={one} value={one}>
              {tv('scope', one)}
            </option>
          ))}
        </select>
      </Field>
      {scope === 'queues' && (
        <Field label={t('agentForm.queues')}>
          <input name="queues" required list="all-queues" />
        </Field>
      )}
      <datalist id="all-queues">
        {queueNames.value.map((queue) => (
          <option key={queue} value={queue} />
        ))}
      </datalist>
    </div>
  );
}

function grantOf(form: FormData): { role: string; scope: Scope } {
  const scope = String(form.get('scope'));
  const queues = String(form.get('queues') ?? '')
    .split(/[,，\s]+/)
    .filter(Boolean);
  return { role: String(form.get('role')), scope: scope === 'queues' ? { queues } : (scope as Scope) };
}

function NewUser({ onChange }: { onChange(): void }) {
  const [failed, setFailed] = useState('');
  async function create(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const id = String(form.get('id')).trim();
    const wrong = await change(id, {
      type: 'create',
      name: String(form.get('name')).trim(),
      grants: [grantOf(form)],
    });
    setFailed(wrong);
    if (wrong) return;
    tell(t('users.created'));
    onChange();
    go('admin', 'users', id);
  }
  return (
    <form onSubmit={create}>
      <h2>{t('users.new')}</h2>
      <Field label={t('users.id')}>
        <input name="id" required pattern="[A-Za-z0-9_\-]{1,64}" autocomplete="off" />
      </Field>
      <Field label={t('users.name')}>
        <input name="name" required autocomplete="off" />
      </Field>
      <RoleFields />
      <p class="form-error" role="alert">
        {failed}
      </p>
      <div class="buttons">
        <button type="submit" class="primary">
          {t('users.create')}
        </button>
      </div>
    </form>
  );
}

function UserForm({ user, onChange }: { user: User; onChange(): void }) {
  const [failed, setFailed] = useState('');
  const manages = can('user.manage');

  async function ask(command: Fields) {
    const wrong = await change(user.id, command);
    setFailed(wrong);
    if (!wrong) {
      tell(t('history.done'));
      onChange();
    }
  }

  async function setPassword(event: SubmitEvent) {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    try {
      await http.post(`users/${encodeURIComponent(user.id)}/password`, {
        password: new FormData(form).get('password'),
      });
      tell(t('users.passwordSet'));
      setFailed('');
      form.reset();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  }

  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const name = new FormData(event.currentTarget).get('name');
          void ask({ type: 'rename', name });
        }}
      >
        <h2>
          {user.name || user.id} {user.disabled_at && <span class="badge bad">{t('users.disabled')}</span>}
        </h2>
        <div class="form-row">
          <div class="grow">
            <Field label={t('users.name')}>
              <input name="name" required defaultValue={user.name} readOnly={!manages} />
            </Field>
          </div>
          {manages && <button type="submit">{t('save')}</button>}
        </div>
        <p class="form-error" role="alert">
          {failed}
        </p>
        <p class="muted">
          {user.signed_in_at
            ? t('users.signedIn', { at: dateTime(user.signed_in_at) })
            : t('users.neverSignedIn')}
          {' · '}
          {t('users.counts', { sessions: user.sessions ?? 0, tokens: user.tokens ?? 0 })}
          {user.has_password === false && ` · ${t('users.noPassword')}`}
        </p>
      </form>
      <section>
        <h2>{t('users.roles')}</h2>
        <ul class="plain">
          {user.grants.map(({ role, scope }) => (
            <li key={role} class="version-head">
              <strong>{tv('role', role)}</strong>
              <span class="muted">{scopeWords(scope)}</span>
              {manages && (
                <button type="button" class="link" onClick={() => ask({ type: 'revoke', role })}>
                  {t('users.revoke', { role: tv('role', role) })}
                </button>
              )}
            </li>
          ))}
        </ul>
        {manages && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void ask({ type: 'grant', ...grantOf(new FormData(event.currentTarget)) });
            }}
          >
            <RoleFields />
            <button type="submit">{t('users.grant')}</button>
          </form>
        )}
      </section>
      {manages && (
        <section>
          <h2>{t('users.setPassword')}</h2>
          <form class="form-row" onSubmit={setPassword}>
            <Field label={t('users.password')}>
              <input type="password" name="password" required minlength={10} autocomplete="new-password" />
            </Field>
            <button type="submit">{t('users.setPassword')}</button>
          </form>
          <button type="button" onClick={() => ask({ type: user.disabled_at ? 'enable' : 'disable' })}>
            {user.disabled_at ? t('users.enable') : t('users.disable')}
          </button>
        </section>
      )}
    </>
  );
}
