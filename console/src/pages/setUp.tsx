// The first user of a tenant: made with the code that the server printed when it was started.

import { useState } from 'preact/hooks';
import { ApiError } from '../api/http';
import { t } from '../i18n';
import { go, href, route } from '../state/route';
import { setUp } from '../state/session';
import { Field } from '../ui/parts';

/** Codes of what no other attempt here can mend. */
const STUCK = ['wrong_code', 'exists'];

function reasonOf(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.status === 0) return t('signIn.offline');
    if (error.code === 'wrong_code') return t('setUp.wrongCode');
    if (error.code === 'exists') return t('setUp.exists');
  }
  return t('setUp.failed', { message: String((error as Error).message) });
}

export function SetUp() {
  const [failed, setFailed] = useState('');
  const [busy, setBusy] = useState(false);
  const [stuck, setStuck] = useState(false);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string) => String(form.get(name) ?? '');
    if (given('password') !== given('again')) {
      setFailed(t('setUp.different'));
      return;
    }
    setBusy(true);
    setFailed('');
    setStuck(false);
    try {
      await setUp(given('code').trim(), given('user').trim(), given('name').trim(), given('password'));
      go('inbox', 'mine');
    } catch (error) {
      setFailed(reasonOf(error));
      setStuck(error instanceof ApiError && STUCK.includes(error.code));
      setBusy(false);
    }
  }

  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={submit}>
        <h1 class="brand">kefu</h1>
        <p class="muted">{t('setUp.lead')}</p>
        <Field label={t('setUp.code')}>
          <input name="code" required autocomplete="off" defaultValue={route.value[1] ?? ''} />
        </Field>
        <Field label={t('signIn.user')}>
          <input name="user" required autocomplete="username" autocapitalize="none" />
        </Field>
        <Field label={t('setUp.name')}>
          <input name="name" autocomplete="name" />
        </Field>
        <Field label={t('signIn.password')} hint={t('setUp.passwordHint')}>
          <input name="password" type="password" required minlength={10} autocomplete="new-password" />
        </Field>
        <Field label={t('setUp.again')}>
          <input name="again" type="password" required autocomplete="new-password" />
        </Field>
        <p class="form-error" role="alert">
          {failed}
        </p>
        {stuck && (
          <a class="button" href={href('inbox', 'mine')}>
            {t('setUp.signIn')}
          </a>
        )}
        <button type="submit" class="primary" disabled={busy}>
          {t('setUp.do')}
        </button>
      </form>
    </main>
  );
}
