// The condition of a rule: clauses to choose from, or an expression for what those cannot say.

import { useState } from 'preact/hooks';
import { t, tv } from '../../i18n';
import {
  type Clause,
  type Condition,
  celOf,
  conditionOf,
  HAS_FIELD,
  hasMany,
  hasValues,
  newClause,
  SUBJECTS,
  type Subject,
  TESTS,
  type Test,
} from '../../model/conditions';
import { DAYS } from '../../model/shifts';
import { collected } from '../../state/tenant';
import { Icon } from '../../ui/icons';
import { Field } from '../../ui/parts';

/** The words for a test, which for some subjects are other ones. */
export function testWords({ subject, test }: Pick<Clause, 'subject' | 'test'>): string {
  const of = HAS_FIELD.includes(subject) ? 'collected' : subject;
  const own = tv(`test.${of}`, test);
  return own === test ? tv('test', test) : own;
}

export function ConditionFields({ when, onChange }: { when: string; onChange(when: string): void }) {
  const [condition, setCondition] = useState<Condition | null>(() => conditionOf(when));
  const set = (next: Condition) => {
    setCondition(next);
    onChange(celOf(next));
  };
  if (!condition) {
    const readable = conditionOf(when);
    return (
      <div data-field="when">
        <Field label={t('rules.cel')} hint={t('rules.celHint')}>
          <textarea
            class="cel"
            rows={3}
            required
            maxlength={1000}
            spellcheck={false}
            value={when}
            onInput={(event) => onChange(event.currentTarget.value)}
          />
        </Field>
        {readable && (
          <button type="button" class="link" onClick={() => setCondition(readable)}>
            {t('rules.asClauses')}
          </button>
        )}
      </div>
    );
  }
  const { all, clauses } = condition;
  const replace = (at: number, clause: Clause) =>
    set({ all, clauses: clauses.map((one, index) => (index === at ? clause : one)) });
  return (
    <div data-field="when">
      {clauses.length > 1 && (
        <select
          class="joined"
          value={String(all)}
          aria-label={t('rules.joined')}
          onChange={(event) => set({ all: event.currentTarget.value === 'true', clauses })}
        >
          <option value="true">{t('rules.all')}</option>
          <option value="false">{t('rules.any')}</option>
        </select>
      )}
      {clauses.length === 0 && <p>{t('rules.always')}</p>}
      <ul class="clauses">
        {clauses.map((clause, at) => (
          <li key={at} class="clause" aria-label={t('rules.clause', { n: at + 1 })}>
            <ClauseFields clause={clause} n={at + 1} onChange={(next) => replace(at, next)} />
            <button
              type="button"
              class="icon-button"
              aria-label={t('rules.removeClause', { n: at + 1 })}
              onClick={() => set({ all, clauses: clauses.filter((_, index) => index !== at) })}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <span class="inline-links">
        <button
          type="button"
          class="link"
          onClick={() => set({ all, clauses: [...clauses, newClause('text')] })}
        >
          {t('rules.addClause')}
        </button>
        <button type="button" class="link" onClick={() => setCondition(null)}>
          {t('rules.asCel')}
        </button>
      </span>
    </div>
  );
}

interface ClauseProps {
  clause: Clause;
  n: number;
  onChange(clause: Clause): void;
}

function ClauseFields({ clause, n, onChange }: ClauseProps) {
  const { subject, test, field } = clause;
  return (
    <>
      <select
        value={subject}
        aria-label={t('clause.subject', { n })}
        onChange={(event) => onChange(newClause(event.currentTarget.value as Subject))}
      >
        {SUBJECTS.map((one) => (
          <option key={one} value={one}>
            {tv('subject', one)}
          </option>
        ))}
      </select>
      {HAS_FIELD.includes(subject) && (
        <input
          value={field}
          required
          pattern="[A-Za-z_]\w*"
          placeholder={t('clause.fieldName')}
          aria-label={t('clause.field', { n })}
          list={subject === 'collected' ? 'collected-fields' : undefined}
          onInput={(event) => onChange({ ...clause, field: event.currentTarget.value })}
        />
      )}
      {TESTS[subject].length > 1 && (
        <select
          value={test}
          aria-label={t('clause.test', { n })}
          onChange={(event) => {
            const next = { ...clause, test: event.currentTarget.value as Test };
            onChange({
              ...next,
              values: hasValues(next) ? clause.values.slice(0, hasMany(next) ? 99 : 1) : [],
            });
          }}
        >
          {TESTS[subject].map((one) => (
            <option key={one} value={one}>
              {testWords({ subject, test: one })}
            </option>
          ))}
        </select>
      )}
      {hasValues(clause) && <Values clause={clause} n={n} onChange={onChange} />}
      <datalist id="collected-fields">
        {collected.value.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}

function Values({ clause, n, onChange }: ClauseProps) {
  const { subject, values } = clause;
  const set = (next: string[]) => onChange({ ...clause, values: next });
  if (subject === 'weekday') return <Weekdays values={values} n={n} onChange={set} />;
  if (clause.test === 'between') {
    return (
      <span class="span">
        {(['clause.from', 'clause.to'] as const).map((label, at) => (
          <input
            key={label}
            type="number"
            min={0}
            max={24}
            required
            value={values[at]}
            aria-label={t(label, { n })}
            onInput={(event) =>
              set(values.map((one, index) => (index === at ? event.currentTarget.value : one)))
            }
          />
        ))}
      </span>
    );
  }
  if (hasMany(clause)) {
    return (
      <textarea
        class="clause-value"
        rows={Math.min(6, Math.max(2, values.length))}
        required
        value={values.join('\n')}
        placeholder={t('clause.perLine')}
        aria-label={t('clause.values', { n })}
        onInput={(event) => set(event.currentTarget.value.split('\n'))}
      />
    );
  }
  return (
    <input
      class="clause-value"
      inputMode={subject === 'session' ? 'numeric' : undefined}
      pattern={subject === 'session' ? '[0-9]{1,6}' : undefined}
      required
      value={values[0] ?? ''}
      aria-label={t('clause.value', { n })}
      onInput={(event) => set([event.currentTarget.value])}
    />
  );
}

function Weekdays({ values, n, onChange }: { values: string[]; n: number; onChange(days: string[]): void }) {
  return (
    <fieldset class="weekdays">
      <legend class="unseen">{t('clause.values', { n })}</legend>
      {DAYS.map((day, index) => {
        const number = String(index + 1);
        const has = values.includes(number);
        const others = values.filter((one) => one !== number);
        return (
          <label key={day}>
            <input
              type="checkbox"
              checked={has}
              // The last one stays: a rule for no day would never hold.
              disabled={has && others.length === 0}
              onChange={() => onChange(has ? others : [...others, number].sort())}
            />
            {tv('day', day)}
          </label>
        );
      })}
    </fieldset>
  );
}
