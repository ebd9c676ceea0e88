// Routing rules as a form: the settings document `routing`, which can be written as JSON as well.

import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import * as http from '../../api/http';
import type { Fields, Refusal, SettingsDocument } from '../../api/types';
import { t } from '../../i18n';
import { pretty } from '../../model/diff';
import {
  type Draft,
  documentOf,
  draftOf,
  freeName,
  moved,
  type Rule,
  type Wrong,
  wrongOf,
} from '../../model/rules';
import { href } from '../../state/route';
import { can } from '../../state/session';
import { loadTenant } from '../../state/tenant';
import { tell, tellError } from '../../state/toasts';
import { History } from '../../ui/history';
import { Empty, Field } from '../../ui/parts';
import { RuleCard } from './rule';

const DOCUMENT = 'routing';

interface Editing {
  /** As it was when the changes began; absent: nobody has written it yet. */
  document: SettingsDocument | null;
  drafts: Draft[];
  open: number[];
}

/** Outlives a look at another page. */
const editing = signal<Editing | null>(null);
let ids = 0;

async function read(): Promise<void> {
  // One that does not exist is not asked for.
  const { items } = await http.get<{ items: string[] }>('settings');
  const document = items.includes(DOCUMENT) ? await http.get<SettingsDocument>(`settings/${DOCUMENT}`) : null;
  const rules = (document?.value as { rules?: Rule[] } | undefined)?.rules ?? [];
  editing.value = { document, drafts: rules.map((rule) => draftOf(rule, next())), open: [] };
}

function next(): number {
  ids += 1;
  return ids;
}

function isChanged({ document, drafts }: Editing): boolean {
  const rules = (document?.value as { rules?: Rule[] } | undefined)?.rules ?? [];
  return pretty(documentOf(drafts)) !== pretty(documentOf(rules.map(draftOf)));
}

export function RulesAdmin() {
  const [wrong, setWrong] = useState<Wrong | null>(null);
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (!editing.value || !isChanged(editing.value)) read().catch(tellError);
  }, []);
  const now = editing.value;
  if (!now) return <Empty>{t('loading')}</Empty>;
  const { document, drafts, open } = now;
  const edits = can('settings.edit');
  const change = (fields: Partial<Editing>) => {
    setWrong(null);
    editing.value = { ...now, ...fields };
  };

  function add() {
    const name = freeName(drafts, t('rules.newName'));
    const draft: Draft = { id: next(), name, when: 'true', then: {}, on: true };
    change({ drafts: [...drafts, draft], open: [...open, draft.id] });
    focusSoon(`[data-rule="${draft.id}"] [data-field=name] input`);
  }

  function move(from: number, to: number) {
    const draft = drafts[from]!;
    const after = moved(drafts, from, to);
    if (after === drafts) return;
    change({ drafts: after });
    setSaid(t('rules.movedTo', { name: draft.name, n: to + 1 }));
    // Whatever had the focus has it again, also where its button is at an end now.
    const focused = window.document.activeElement;
    const way = focused instanceof HTMLElement ? focused.dataset.move : undefined;
    const card = `[data-rule="${draft.id}"]`;
    if (way) focusSoon(`${card} [data-move=${way}]:enabled`, `${card} [data-move]:enabled`);
    else if (focused instanceof HTMLElement) setTimeout(() => focused.focus());
  }

  function remove(at: number) {
    change({ drafts: drafts.filter((_, index) => index !== at) });
    setSaid(t('rules.removed', { name: drafts[at]!.name }));
    focusSoon(`[data-rule="${drafts[at + 1]?.id ?? drafts[at - 1]?.id}"] .rule-name`, '.rules-add');
  }

  /** Opens the rule that is wrong, and shows the field. */
  function show(refusal: Refusal | null | undefined) {
    const found = wrongOf(refusal?.code === 'stale' ? t('refused.stale') : (refusal?.message ?? ''), drafts);
    setWrong(found);
    const id = found.rule === undefined ? undefined : drafts[found.rule]?.id;
    if (id === undefined) return;
    if (!open.includes(id)) editing.value = { ...now!, open: [...open, id] };
    const card = `[data-rule="${id}"]`;
    focusSoon(`${card} [data-field="${found.field}"] :is(input, select, textarea)`, `${card} .rule-name`);
  }

  async function check() {
    setWrong(null);
    try {
      const value = documentOf(drafts);
      const { ok, refusal } = await http.post<{ ok: boolean; refusal?: Refusal }>(
        `settings/${DOCUMENT}/check`,
        {
          value,
        },
      );
      if (ok) tell(t('rules.fine', { n: drafts.length }));
      else show(refusal);
    } catch (error) {
      tellError(error);
    }
  }

  async function command(body: Fields) {
    setWrong(null);
    try {
      const { ok, refusal } = await http.commandOver(`settings/${DOCUMENT}`, body, document?.version);
      if (!ok) return show(refusal);
      await read();
      tell(t('history.done'));
      void loadTenant();
    } catch (error) {
      tellError(error);
    }
  }

  return (
    <div class="page rules">
      <header class="rules-head">
        <h1>{t('rules.title')}</h1>
        <a href={href('admin', 'settings', document ? DOCUMENT : '+new')}>{t('rules.asJson')}</a>
      </header>
      <p class="muted">{t('rules.lead')}</p>
      <p class="unseen" aria-live="polite">
        {said}
      </p>
      <form
        class="rules-form"
        onSubmit={(event) => {
          event.preventDefault();
          const comment = String(new FormData(event.currentTarget).get('comment') ?? '').trim() || undefined;
          void command({ type: 'set', value: documentOf(drafts), comment });
        }}
      >
        {drafts.length === 0 && <Empty>{t('rules.none')}</Empty>}
        <ol>
          {drafts.map((draft, at) => (
            <RuleCard
              key={draft.id}
              drafts={drafts}
              at={at}
              isOpen={open.includes(draft.id)}
              wrong={wrong?.rule === at ? wrong : undefined}
              onOpen={(is) => {
                editing.value = {
                  ...now,
                  open: is ? [...open, draft.id] : open.filter((id) => id !== draft.id),
                };
              }}
              onChange={(next) => change({ drafts: drafts.map((one) => (one.id === next.id ? next : one)) })}
              onMove={(to) => move(at, to)}
              onRemove={() => remove(at)}
            />
          ))}
        </ol>
        {edits && (
          <>
            <span class="inline-links rules-more">
              <button type="button" class="rules-add" onClick={add}>
                {t('rules.add')}
              </button>
              <span class="hint">{t('rules.keys')}</span>
            </span>
            <p class="form-error" role="alert">
              {wrong && wrong.rule === undefined ? wrong.message : ''}
            </p>
            <Save isChanged={isChanged(now)} onCheck={check} onDiscard={() => read().catch(tellError)} />
          </>
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
          rollback={edits ? (to) => void command({ type: 'rollback', to }) : undefined}
        />
      )}
    </div>
  );
}

function Save(props: { isChanged: boolean; onCheck(): void; onDiscard(): void }) {
  return (
    <>
      <div class="form-row">
        <div class="grow">
          <Field label={t('settings.comment')}>
            <input name="comment" autocomplete="off" />
          </Field>
        </div>
        <button type="button" onClick={props.onCheck}>
          {t('rules.check')}
        </button>
        {props.isChanged && (
          <button type="button" onClick={props.onDiscard}>
            {t('rules.discard')}
          </button>
        )}
        <button type="submit" class="primary" disabled={!props.isChanged}>
          {t('rules.save')}
        </button>
      </div>
      <p class="hint" aria-live="polite">
        {props.isChanged && t('rules.unsaved')}
      </p>
    </>
  );
}

/** Gives the focus to the first of these that there is, once it has been drawn. */
function focusSoon(...selectors: string[]): void {
  setTimeout(() => {
    const found = selectors.map((selector) => document.querySelector<HTMLElement>(selector));
    found.find((element) => element !== null)?.focus();
  });
}
