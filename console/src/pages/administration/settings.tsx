// Settings documents: JSON, checked by the server, with their history.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../../api/http';
import type { Fields, SettingsDocument } from '../../api/types';
import { t } from '../../i18n';
import { pretty } from '../../model/diff';
import { go, href } from '../../state/route';
import { can } from '../../state/session';
import { loadTenant } from '../../state/tenant';
import { tell, tellError } from '../../state/toasts';
import { History } from '../../ui/history';
import { Empty, Field } from '../../ui/parts';

const NEW = '+new';

export function SettingsAdmin({ open }: { open?: string }) {
  const [names, setNames] = useState<string[]>([]);
  const load = () => {
    http.get<{ items: string[] }>('settings').then((found) => setNames(found.items), tellError);
  };
  useEffect(load, []);
  return (
    <div class="split">
      <section class="split-list" aria-label={t('admin.settings')}>
        <div class="split-head split-title">
          <h1>{t('admin.settings')}</h1>
          {can('settings.edit') && (
            <button type="button" onClick={() => go('admin', 'settings', NEW)}>
              {t('settings.new')}
            </button>
          )}
        </div>
        <ul>
          {names.map((name) => (
            <li key={name}>
              <a href={href('admin', 'settings', name)} aria-current={name === open ? 'true' : undefined}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      </section>
      <section class="split-body" aria-label={t('settings.document')}>
        {open ? (
          <DocumentForm key={open} name={open} onChange={load} />
        ) : (
          <Empty>{t('settings.choose')}</Empty>
        )}
      </section>
    </div>
  );
}

function DocumentForm({ name, onChange }: { name: string; onChange(): void }) {
  const isNew = name === NEW;
  const [document, setDocument] = useState<SettingsDocument | null>(null);
  const [text, setText] = useState('{}');
  const [failed, setFailed] = useState('');
  const load = () => {
    if (isNew) return;
    http.get<SettingsDocument>(`settings/${encodeURIComponent(name)}`).then((found) => {
      setDocument(found);
      setText(JSON.stringify(found.value, null, 2));
    }, tellError);
  };
  useEffect(load, [name]);
  if (!isNew && !document) return <Empty>{t('loading')}</Empty>;

  async function command(key: string, body: Fields) {
    setFailed('');
    try {
      const result = await http.commandOver(`settings/${encodeURIComponent(key)}`, body, document?.version);
      if (!result.ok) {
        setFailed(result.refusal?.message ?? '');
        return;
      }
      tell(t('history.done'));
      onChange();
      void loadTenant();
      if (isNew) go('admin', 'settings', key);
      else load();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  }

  function save(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = (field: string) => String(form.get(field) ?? '').trim();
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      setFailed(t('settings.badJson', { message: (error as Error).message }));
      return;
    }
    void command(isNew ? given('name') : name, {
      type: 'set',
      value,
      comment: given('comment') || undefined,
    });
  }

  const edits = can('settings.edit');
  return (
    <>
      <form onSubmit={save}>
        <h2>{isNew ? t('settings.new') : name}</h2>
        {isNew && (
          <Field label={t('settings.name')}>
            <input name="name" required pattern="[A-Za-z0-9_\-]{1,64}" />
          </Field>
        )}
        {name === 'routing' && (
          <p>
            <a href={href('admin', 'rules')}>{t('rules.asForm')}</a>
          </p>
        )}
        <Field label={t('settings.editor')}>
          <textarea
            class="editor"
            spellcheck={false}
            value={text}
            readOnly={!edits}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </Field>
        <p class="form-error" role="alert">
          {failed}
        </p>
        {edits && (
          <div class="form-row">
            <div class="grow">
              <Field label={t('settings.comment')}>
                <input name="comment" />
              </Field>
            </div>
            <button type="submit" class="primary">
              {t('save')}
            </button>
          </div>
        )}
      </form>
      {document && (
        <History
          versions={document.history.map((version) => ({
            number: version.document_version,
            at: version.at,
            by: version.by,
            comment: version.comment,
            value: version.value,
          }))}
          current={JSON.parse(pretty(document.value))}
          rollback={edits ? (to) => void command(name, { type: 'rollback', to }) : undefined}
        />
      )}
    </>
  );
}
