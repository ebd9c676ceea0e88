// One routing rule: what it says in a line, and its fields.

import { useRef } from 'preact/hooks';
import { t, tv } from '../../i18n';
import { type Clause, conditionOf, HAS_FIELD, hasValues } from '../../model/conditions';
import { type Draft, type Target, type Warning, type Wrong, warningsOf } from '../../model/rules';
import { DAYS } from '../../model/shifts';
import { readSkills } from '../../model/skills';
import { can } from '../../state/session';
import { collected, queueNames } from '../../state/tenant';
import { Icon } from '../../ui/icons';
import { Field } from '../../ui/parts';
import { ConditionFields, testWords } from './conditions';

interface Props {
  drafts: Draft[];
  at: number;
  isOpen: boolean;
  wrong?: Wrong;
  onOpen(open: boolean): void;
  onChange(draft: Draft): void;
  onMove(to: number): void;
  onRemove(): void;
}

const skillsText = (skills: Record<string, number> = {}) =>
  Object.entries(skills)
    .map(([name, level]) => `${name}=${level}`)
    .join(', ');

export function RuleCard({ drafts, at, isOpen, wrong, onOpen, onChange, onMove, onRemove }: Props) {
  const draft = drafts[at]!;
  const { name } = draft;
  const body = useRef<HTMLDivElement>(null);
  const edits = can('settings.edit');
  const warnings = warningsOf(drafts, at, queueNames.value, collected.value);

  /** What is incomplete stays open: it could not be put together again from what it says. */
  function toggle() {
    const invalid = body.current?.querySelector<HTMLInputElement>('input:invalid, textarea:invalid');
    if (isOpen && invalid) invalid.reportValidity();
    else onOpen(!isOpen);
  }

  return (
    <li
      class={draft.on ? 'rule' : 'rule is-off'}
      data-rule={draft.id}
      aria-label={t('rules.of', { n: at + 1, name })}
      onKeyDown={(event) => {
        const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!edits || !event.altKey || !way) return;
        event.preventDefault();
        onMove(at + way);
      }}
    >
      <div class="rule-head">
        <span class="figure muted">{at + 1}</span>
        <button type="button" class="rule-name" aria-expanded={isOpen} onClick={toggle}>
          <Icon name={isOpen ? 'up' : 'down'} /> <span class="clip">{name || t('rules.newName')}</span>
        </button>
        {!draft.on && <span class="badge">{t('rules.off')}</span>}
        {draft.go_on && <span class="badge">{t('rules.goesOn')}</span>}
        <span class="grow" />
        {edits && (
          <Buttons draft={draft} at={at} last={drafts.length - 1} {...{ onChange, onMove, onRemove }} />
        )}
      </div>
      <p class="rule-says">
        <Says when={draft.when} /> <span aria-hidden="true">→</span> {targetWords(draft.then)}
      </p>
      {warnings.map((warning) => (
        <p key={warning.kind} class="rule-warning">
          <Icon name="warn" /> {warningWords(warning)}
        </p>
      ))}
      {wrong && (
        <p class="form-error" role="alert">
          {wrong.message}
        </p>
      )}
      {isOpen && (
        <div ref={body}>
          <RuleFields draft={draft} edits={edits} onChange={onChange} />
        </div>
      )}
    </li>
  );
}

function warningWords(warning: Warning): string {
  return t(`rules.warn.${warning.kind}`, 'name' in warning ? { name: warning.name } : {});
}

interface ButtonProps extends Pick<Props, 'at' | 'onChange' | 'onMove' | 'onRemove'> {
  draft: Draft;
  last: number;
}

function Buttons({ draft, at, last, onChange, onMove, onRemove }: ButtonProps) {
  const { name } = draft;
  return (
    <span class="rule-buttons">
      <label>
        <input
          type="checkbox"
          checked={draft.on}
          aria-label={t('rules.onOf', { name })}
          onChange={(event) => onChange({ ...draft, on: event.currentTarget.checked })}
        />
        {t('rules.on')}
      </label>
      <button
        type="button"
        class="icon-button"
        data-move="up"
        disabled={at === 0}
        aria-label={t('rules.up', { name })}
        onClick={() => onMove(at - 1)}
      >
        <Icon name="up" />
      </button>
      <button
        type="button"
        class="icon-button"
        data-move="down"
        disabled={at === last}
        aria-label={t('rules.down', { name })}
        onClick={() => onMove(at + 1)}
      >
        <Icon name="down" />
      </button>
      <button type="button" class="icon-button" aria-label={t('rules.remove', { name })} onClick={onRemove}>
        <Icon name="close" />
      </button>
    </span>
  );
}

/** The condition in words; an expression as it is written. */
function Says({ when }: { when: string }) {
  const condition = conditionOf(when);
  if (!condition) return <code>{when}</code>;
  if (condition.clauses.length === 0) return <>{t('rules.always')}</>;
  return <>{condition.clauses.map(clauseWords).join(` ${t(condition.all ? 'rules.and' : 'rules.or')} `)}</>;
}

function clauseWords(clause: Clause): string {
  const { subject, field, values } = clause;
  const about = HAS_FIELD.includes(subject) ? `${tv('subject', subject)} (${field})` : tv('subject', subject);
  if (!hasValues(clause)) return `${about}: ${testWords(clause)}`;
  if (clause.test === 'between') return `${about}: ${values.join('–')}`;
  const shown = subject === 'weekday' ? values.map((day) => tv('day', DAYS[Number(day) - 1])) : values;
  const quoted = shown.map((value) => (subject === 'weekday' ? value : `“${value}”`)).join(', ');
  if (subject === 'tags') return `${about} ${quoted} ${testWords(clause)}`;
  return `${about} ${testWords(clause)} ${quoted}`;
}

function targetWords({ queue, priority, required, wished = [], tags = [], collect = [] }: Target): string {
  const skills = Object.entries(required ?? {}).map(([name, least]) => `${name} ≥ ${least}`);
  const words = [
    queue ?? '',
    typeof priority === 'number' ? t('rules.saysPriority', { n: priority }) : '',
    ...skills,
    ...wished.map((name) => `${name}?`),
    ...tags.map((tag) => `#${tag}`),
    collect.length > 0 ? t('rules.saysAsks', { fields: collect.join(', ') }) : '',
  ].filter(Boolean);
  return words.length > 0 ? words.join(' · ') : t('rules.saysNothing');
}

const list = (text: string) =>
  text
    .split(/[,，]/)
    .map((one) => one.trim())
    .filter(Boolean);

interface FieldsProps {
  draft: Draft;
  edits: boolean;
  onChange(draft: Draft): void;
}

function RuleFields({ draft, edits, onChange }: FieldsProps) {
  const { then } = draft;
  const set = (fields: Partial<Target>) => onChange({ ...draft, then: { ...then, ...fields } });
  return (
    <fieldset class="rule-fields" disabled={!edits}>
      <legend class="unseen">{draft.name}</legend>
      <div data-field="name">
        <Field label={t('rules.name')}>
          <input
            value={draft.name}
            required
            maxlength={100}
            onInput={(event) => onChange({ ...draft, name: event.currentTarget.value })}
          />
        </Field>
      </div>
      <h3>{t('rules.when')}</h3>
      <ConditionFields when={draft.when} onChange={(when) => onChange({ ...draft, when })} />
      <h3>{t('rules.then')}</h3>
      <div class="form-row">
        <QueueField queue={then.queue} onChange={(queue) => set({ queue })} />
        <div data-field="priority">
          <Field label={t('rules.priority')}>
            <input
              type="number"
              min={0}
              max={10}
              value={then.priority ?? ''}
              onInput={({ currentTarget: { value } }) =>
                set({ priority: value === '' ? null : Number(value) })
              }
            />
          </Field>
        </div>
      </div>
      <div class="form-row">
        <div class="grow" data-field="required">
          <Field label={t('rules.required')} hint={t('rules.requiredHint')}>
            <input
              defaultValue={skillsText(then.required)}
              onInput={(event) => set({ required: readSkills(event.currentTarget.value) })}
            />
          </Field>
        </div>
        <div class="grow" data-field="wished">
          <Field label={t('rules.wished')} hint={t('rules.list')}>
            <input
              defaultValue={then.wished?.join(', ')}
              onInput={(event) => set({ wished: list(event.currentTarget.value) })}
            />
          </Field>
        </div>
        <div class="grow" data-field="tags">
          <Field label={t('rules.tags')} hint={t('rules.list')}>
            <input
              defaultValue={then.tags?.join(', ')}
              onInput={(event) => set({ tags: list(event.currentTarget.value) })}
            />
          </Field>
        </div>
      </div>
      <CollectFields chosen={then.collect ?? []} onChange={(collect) => set({ collect })} />
      <label class="rule-check">
        <input
          type="checkbox"
          checked={draft.go_on === true}
          onChange={(event) => onChange({ ...draft, go_on: event.currentTarget.checked })}
        />
        {t('rules.goOn')}
      </label>
    </fieldset>
  );
}

function QueueField({ queue, onChange }: { queue?: string | null; onChange(queue: string | null): void }) {
  const names = queueNames.value;
  // A queue that is gone is shown all the same, so that nothing changes by merely looking.
  const all = queue && !names.includes(queue) ? [...names, queue] : names;
  return (
    <div data-field="queue">
      <Field label={t('rules.queue')}>
        <select value={queue ?? ''} onChange={(event) => onChange(event.currentTarget.value || null)}>
          <option value="">{t('rules.noQueue')}</option>
          {all.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </Field>
    </div>
  );
}

function CollectFields({ chosen, onChange }: { chosen: string[]; onChange(fields: string[]): void }) {
  const all = [...new Set([...collected.value, ...chosen])];
  if (all.length === 0) return null;
  return (
    <fieldset class="choices" data-field="collect">
      <legend>{t('rules.collect')}</legend>
      {all.map((name) => (
        <label key={name}>
          <input
            type="checkbox"
            checked={chosen.includes(name)}
            onChange={(event) =>
              onChange(event.currentTarget.checked ? [...chosen, name] : chosen.filter((one) => one !== name))
            }
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}
