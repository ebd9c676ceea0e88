// The knowledge base: entries from draft to approval to retirement, each with its history.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../api/http';
import type { CommandResult, Entry, EntryContent, EntryHit, EntrySummary, Fields } from '../api/types';
import { t, tv } from '../i18n';
import { go, href, route } from '../state/route';
import { can } from '../state/session';
import { loadMacros } from '../state/tenant';
import { tell, tellError } from '../state/toasts';
import { History } from '../ui/history';
import { Empty, Field, Snippet } from '../ui/parts';

const NEW = '+new';
const STATUSES = ['draft', 'approved', 'retired'];
/** Between the last key and the search. */
const TYPING_MS = 200;
const MAX_HITS = 200;

type Listed = EntrySummary & Partial<EntryHit>;

export function Knowledge() {
  const [entries, setEntries] = useState<Listed[] | null>(null);
  const [total, setTotal] = useState(0);
  const [status, setStatus] = useState('');
  const [words, setWords] = useState('');
  const open = route.value[1];

  const load = () => {
    const query = status === 'waiting' ? { waiting: true } : status ? { status } : {};
    let old = false;
    const show = (items: Listed[], all: number) => {
      if (old) return;
      setEntries(items);
      setTotal(all);
    };
    const text = words.trim();
    const asked = text
      ? http
          .get<{ items: EntryHit[]; total: number }>('search/entries', { ...query, text, limit: MAX_HITS })
          .then((found) => show(found.items, found.total))
      : http.everything<EntrySummary>('entries', query).then((all) => show(all, all.length));
    asked.catch(tellError);
    return () => {
      old = true;
    };
  };
  useEffect(() => {
    let drop: (() => void) | undefined;
    const timer = setTimeout(
      () => {
        drop = load();
      },
      words ? TYPING_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      drop?.();
    };
  }, [status, words]);

  const shown = entries ?? [];
  return (
    <main class="split">
      <section class="split-list" aria-label={t('knowledge.title')}>
        <div class="split-head">
          <div class="split-title">
            <h1>{t('knowledge.title')}</h1>
            {can('entry.edit') && (
              <button type="button" onClick={() => go('knowledge', NEW)}>
                {t('knowledge.new')}
              </button>
            )}
          </div>
          <input
            type="search"
            aria-label={t('knowledge.filter')}
            placeholder={t('knowledge.filter')}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
          <select
            aria-label={t('knowledge.status')}
            onChange={(event) => setStatus(event.currentTarget.value)}
          >
            <option value="">{t('knowledge.any')}</option>
            <option value="waiting">{t('knowledge.waiting')}</option>
            {STATUSES.map((one) => (
              <option key={one} value={one}>
                {tv('entry', one)}
              </option>
            ))}
          </select>
        </div>
        {entries && shown.length === 0 && <Empty>{t('knowledge.none')}</Empty>}
        {total > shown.length && (
          <p class="muted split-note">{t('knowledge.more', { shown: shown.length, total })}</p>
        )}
        <ul>
          {shown.map((entry) => (
            <li key={entry.id}>
              <a href={href('knowledge', entry.id)} aria-current={entry.id === open ? 'true' : undefined}>
                <span class="clip">{entry.question}</span>
                <span class="split-facts">
                  <span class={`badge entry-${entry.status}`}>{tv('entry', entry.status)}</span>
                  {entry.approved && entry.approved !== entry.entry_version && (
                    <span class="badge entry-draft">{t('knowledge.waiting')}</span>
                  )}
                  <span class="muted">
                    {[entry.category, entry.language, entry.id].filter(Boolean).join(' · ')}
                  </span>
                </span>
                {entry.snippet && entry.found_in !== 'id' && (
                  <span class="split-found muted">
                    <Snippet pieces={entry.snippet} />
                  </span>
                )}
              </a>
            </li>
          ))}
        </ul>
      </section>
      <section class="split-body" aria-label={t('knowledge.entry')}>
        {open ? (
          <EntryForm key={open} id={open} onChange={() => void load()} />
        ) : (
          <Empty>{t('knowledge.choose')}</Empty>
        )}
      </section>
    </main>
  );
}

const EMPTY: EntryContent = { question: '', answer: '' };

function EntryForm({ id, onChange }: { id: string; onChange(): void }) {
  const [entry, setEntry] = useState<Entry | null>(null);
  const [failed, setFailed] = useState('');
  const isNew = id === NEW;
  const load = () => {
    if (!isNew) http.get<Entry>(`entries/${encodeURIComponent(id)}`).then(setEntry, tellError);
  };
  useEffect(load, [id]);
  if (!isNew && !entry) return <Empty>{t('loading')}</Empty>;

  const newest = entry?.state.history.at(-1);
  const content = newest?.content ?? EMPTY;
  const feedback = Object.values(
    (entry?.state as { feedback?: Record<string, Fields> } | undefined)?.feedback ?? {},
  );
  const sum = (name: string) => feedback.reduce((total, counts) => total + Number(counts[name] ?? 0), 0);

  async function command(key: string, body: Fields, done: string): Promise<boolean> {
    setFailed('');
    try {
      const result: CommandResult = await http.commandOver(
        `entries/${encodeURIComponent(key)}`,
        body,
        entry?.version,
      );
      if (!result.ok) {
        setFailed(result.refusal?.message ?? '');
        return false;
      }
      tell(done);
      onChange();
      void loadMacros();
      if (isNew) go('knowledge', key);
      else load();
      return true;
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  function save(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string) => String(form.get(name) ?? '').trim();
    const key = isNew ? given('id') : id;
    let variables: Record<string, string>;
    try {
      variables = JSON.parse(given('variables') || '{}');
    } catch (error) {
      setFailed(t('settings.badJson', { message: (error as Error).message }));
      return;
    }
    const written: EntryContent = {
      ...content,
      question: given('question'),
      similar: given('similar')
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean),
      answer: given('answer'),
      language: given('language') || undefined,
      category: given('category') || undefined,
      audience: given('audience') as 'customers' | 'agents',
      variables,
    };
    void command(
      key,
      { type: 'draft', content: written, comment: given('comment') || undefined },
      t('knowledge.saved'),
    );
  }

  const edits = can('entry.edit');
  return (
    <>
      {/* A new version fills the form anew. */}
      <form onSubmit={save} key={newest?.entry_version ?? 0}>
        <h2>
          {isNew ? t('knowledge.new') : id}{' '}
          {entry && <span class={`badge entry-${entry.status}`}>{tv('entry', entry.status)}</span>}
        </h2>
        {isNew && (
          <Field label={t('knowledge.id')}>
            <input name="id" required pattern="[A-Za-z0-9_\-]{1,64}" />
          </Field>
        )}
        <Field label={t('knowledge.question')}>
          <input name="question" required defaultValue={content.question} readOnly={!edits} />
        </Field>
        <Field label={t('knowledge.similar')}>
          <textarea
            name="similar"
            rows={5}
            defaultValue={(content.similar ?? []).join('\n')}
            readOnly={!edits}
          />
        </Field>
        <Field label={t('knowledge.answer')} hint={t('knowledge.answerHint')}>
          <textarea name="answer" required rows={6} defaultValue={content.answer} readOnly={!edits} />
        </Field>
        <div class="form-row">
          <Field label={t('language')}>
            <input name="language" defaultValue={content.language ?? ''} readOnly={!edits} />
          </Field>
          <Field label={t('knowledge.category')}>
            <input name="category" defaultValue={content.category ?? ''} readOnly={!edits} />
          </Field>
          <Field label={t('knowledge.audience')}>
            <select name="audience" disabled={!edits}>
              <option value="customers">{t('knowledge.customers')}</option>
              <option value="agents" selected={content.audience === 'agents'}>
                {t('knowledge.agentsOnly')}
              </option>
            </select>
          </Field>
        </div>
        <Field label={t('knowledge.variables')}>
          <input
            name="variables"
            class="mono"
            defaultValue={content.variables ? JSON.stringify(content.variables) : ''}
            readOnly={!edits}
          />
        </Field>
        {edits && (
          <Field label={t('knowledge.comment')}>
            <input name="comment" />
          </Field>
        )}
        <p class="form-error" role="alert">
          {failed}
        </p>
        <div class="buttons">
          {edits && (
            <button type="submit" class="primary">
              {t('knowledge.saveDraft')}
            </button>
          )}
          {entry && newest && can('entry.approve') && entry.state.approved !== newest.entry_version && (
            <button
              type="button"
              onClick={() =>
                command(id, { type: 'approve', entry_version: newest.entry_version }, t('knowledge.approved'))
              }
            >
              {t('knowledge.approve', { n: newest.entry_version })}
            </button>
          )}
          {entry && can('entry.approve') && entry.status !== 'retired' && (
            <button type="button" onClick={() => command(id, { type: 'retire' }, t('knowledge.retired'))}>
              {t('knowledge.retire')}
            </button>
          )}
        </div>
      </form>
      {entry && feedback.length > 0 && (
        <p class="muted">
          {t('knowledge.feedback', {
            adopted: sum('adopted'),
            edited: sum('edited'),
            rejected: sum('rejected'),
            helpful: sum('helpful'),
            unhelpful: sum('unhelpful'),
          })}
        </p>
      )}
      {entry && (
        <History
          versions={entry.state.history.map((version) => ({
            number: version.entry_version,
            at: version.at,
            by: version.by,
            comment: version.comment,
            rolledBackTo: version.rolled_back_to,
            value: version.content,
            badge: version.entry_version === entry.state.approved ? tv('entry', 'approved') : undefined,
          }))}
          current={content}
          rollback={
            can('entry.approve')
              ? (to) => void command(id, { type: 'rollback', to }, t('history.done'))
              : undefined
          }
        />
      )}
    </>
  );
}
