// Signing in.

import { useEffect, useState } from 'preact/hooks';
import { ApiError, provider } from '../api/http';
import { t } from '../i18n';
import { language, remembered } from '../state/prefs';
import { signIn } from '../state/session';
import { Field } from '../ui/parts';

/** Why it failed, in words that say what to do. */
function reason(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 0) return t('signIn.offline');
  return t('signIn.failed', { message: error.message });
}

export function SignIn() {
  const [failed, setFailed] = useState('');
  const [busy, setBusy] = useState(false);
  const [login, setLogin] = useState<string | null>(null);
  useEffect(() => {
    provider().then(
      (found) => setLogin(found.login),
      () => {},
    );
  }, []);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string) => String(form.get(name) ?? '');
    setBusy(true);
    setFailed('');
    try {
      await signIn(given('tenant').trim(), given('user').trim(), given('password'));
    } catch (error) {
      setFailed(reason(error));
      setBusy(false);
    }
  }

  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={submit}>
        <h1 class="brand">kefu</h1>
        <p class="muted">{t('signIn.lead')}</p>
        <Field label={t('signIn.tenant')}>
          <input
            name="tenant"
            required
            autocomplete="organization"
            defaultValue={remembered('tenant') ?? 'demo'}
          />
        </Field>
        <Field label={t('signIn.user')}>
          <input
            name="user"
            required
            autocomplete="username"
            autocapitalize="none"
            defaultValue={remembered('user') ?? ''}
          />
        </Field>
        <Field label={t('signIn.password')}>
          <input name="password" type="password" required autocomplete="current-password" />
        </Field>
        <p class="form-error" role="alert">
          {failed}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? t('signIn.busy') : t('signIn.do')}
        </button>
        {login && (
          <a class="link" href={login}>
            {t('signIn.provider')}
          </a>
        )}
        <button
          type="button"
          class="link"
          onClick={() => {
            language.value = language.value === 'en' ? 'zh' : 'en';
          }}
        >
          {language.value === 'en' ? '中文' : 'English'}
        </button>
      </form>
    </main>
  );
}
