// When an agent works: times per weekday, days off, and the time zone in which they are meant.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../../api/http';
import type { AgentState, Shown } from '../../api/types';
import { t, tv } from '../../i18n';
import {
  DAYS,
  type Day,
  emptyWeek,
  hoursOf,
  minutesOf,
  type Week,
  weekOf,
  wrongDay,
} from '../../model/shifts';
import { can } from '../../state/session';
import { timeZone } from '../../state/tenant';
import { tell, tellError } from '../../state/toasts';
import { Icon } from '../../ui/icons';
import { Empty, Field } from '../../ui/parts';

/** What a new time begins with. */
const USUAL = { from: '09:00', to: '17:00' };
const WORKDAYS: Day[] = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday'];

interface Plan {
  planned: boolean;
  zone: string;
  week: Week;
  off: string[];
}

function planOf({ shifts }: AgentState): Plan {
  return {
    planned: !!shifts,
    zone: shifts?.time_zone ?? (timeZone.value || Intl.DateTimeFormat().resolvedOptions().timeZone),
    week: shifts ? weekOf(shifts) : emptyWeek(),
    off: shifts?.hours.holidays ?? [],
  };
}

export function ShiftsForm({ agent }: { agent: string }) {
  const [plan, setPlan] = useState<Plan | null>(null);
  const [failed, setFailed] = useState('');
  const path = `agents/${encodeURIComponent(agent)}`;
  useEffect(() => {
    http.get<Shown<AgentState>>(path).then((shown) => setPlan(planOf(shown.state)), tellError);
  }, [path]);
  if (!plan) return <Empty>{t('loading')}</Empty>;
  const change = (fields: Partial<Plan>) => setPlan({ ...plan, ...fields });
  const reads = !can('agent.manage');

  async function save(event: SubmitEvent) {
    event.preventDefault();
    const { planned, zone, week, off } = plan!;
    const wrong = planned ? wrongDay(week) : undefined;
    if (wrong) {
      setFailed(t('shifts.wrong', { day: tv('day', wrong) }));
      return;
    }
    if (planned && minutesOf(week) === 0) {
      setFailed(t('shifts.never'));
      return;
    }
    const hours = { ...hoursOf(week), holidays: off };
    const shifts = planned ? { time_zone: zone.trim(), hours } : undefined;
    setFailed('');
    try {
      const { ok, refusal } = await http.commandOver(path, { type: 'set_shifts', shifts });
      if (!ok && refusal?.code !== 'unchanged') {
        setFailed(refusal?.message ?? '');
        return;
      }
      // A night is divided at midnight: what is shown is what holds.
      setPlan(planOf({ shifts } as AgentState));
      tell(t('shifts.saved'));
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  }

  return (
    <section aria-label={t('shifts.title')}>
      <h2>{t('shifts.title')}</h2>
      <form onSubmit={save}>
        <fieldset class="choices" disabled={reads}>
          <legend class="unseen">{t('shifts.title')}</legend>
          {[false, true].map((planned) => (
            <label key={String(planned)}>
              <input
                type="radio"
                name="planned"
                checked={plan.planned === planned}
                onChange={() => change({ planned })}
              />
              {t(planned ? 'shifts.planned' : 'shifts.any')}
            </label>
          ))}
        </fieldset>
        {plan.planned && <PlanFields plan={plan} reads={reads} change={change} />}
        <p class="form-error" role="alert">
          {failed}
        </p>
        {!reads && (
          <div class="buttons">
            <button type="submit" class="primary">
              {t('shifts.save')}
            </button>
          </div>
        )}
      </form>
    </section>
  );
}

interface PlanProps {
  plan: Plan;
  reads: boolean;
  change(fields: Partial<Plan>): void;
}

function PlanFields({ plan, reads, change }: PlanProps) {
  const { week } = plan;
  const setDay = (day: Day, spans: Week[Day]) => change({ week: { ...week, [day]: spans } });
  const hours = Math.round(minutesOf(week) / 6) / 10;
  return (
    <>
      <Field label={t('shifts.zone')} hint={t('shifts.zoneHint')}>
        <input
          value={plan.zone}
          required
          list="time-zones"
          readOnly={reads}
          onInput={(event) => change({ zone: event.currentTarget.value })}
        />
      </Field>
      <datalist id="time-zones">
        {Intl.supportedValuesOf('timeZone').map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
      <ul class="week">
        {DAYS.map((day) => (
          <DayRow
            key={day}
            day={day}
            spans={week[day]}
            reads={reads}
            onChange={(spans) => setDay(day, spans)}
          />
        ))}
      </ul>
      <p class="muted" aria-live="polite">
        {t('shifts.sum', { hours })} {t('shifts.midnight')}
      </p>
      {!reads && (
        <button
          type="button"
          class="link"
          disabled={week.monday.length === 0}
          onClick={() =>
            change({
              week: { ...week, ...Object.fromEntries(WORKDAYS.map((day) => [day, [...week.monday]])) },
            })
          }
        >
          {t('shifts.asMonday')}
        </button>
      )}
      <DaysOff off={plan.off} reads={reads} onChange={(off) => change({ off })} />
    </>
  );
}

interface DayProps {
  day: Day;
  spans: Week[Day];
  reads: boolean;
  onChange(spans: Week[Day]): void;
}

function DayRow({ day, spans, reads, onChange }: DayProps) {
  const name = tv('day', day);
  const set = (index: number, fields: Partial<Week[Day][number]>) =>
    onChange(spans.map((span, at) => (at === index ? { ...span, ...fields } : span)));
  return (
    <li class="week-day">
      <fieldset disabled={reads}>
        <legend>{name}</legend>
        {spans.length === 0 && <span class="muted">{t('shifts.free')}</span>}
        {spans.map((span, index) => (
          <span key={index} class="span">
            <input
              type="time"
              required
              value={span.from}
              aria-label={t('shifts.from', { day: name, n: index + 1 })}
              onInput={(event) => set(index, { from: event.currentTarget.value })}
            />
            <span aria-hidden="true">–</span>
            <input
              type="time"
              required
              value={span.to}
              aria-label={t('shifts.to', { day: name, n: index + 1 })}
              onInput={(event) => set(index, { to: event.currentTarget.value })}
            />
            {!reads && (
              <button
                type="button"
                class="icon-button"
                aria-label={t('shifts.remove', { day: name, n: index + 1 })}
                onClick={() => onChange(spans.filter((_, at) => at !== index))}
              >
                <Icon name="close" />
              </button>
            )}
          </span>
        ))}
        {!reads && (
          <button
            type="button"
            class="link"
            aria-label={t('shifts.addTo', { day: name })}
            onClick={() => onChange([...spans, USUAL])}
          >
            {t('shifts.add')}
          </button>
        )}
      </fieldset>
    </li>
  );
}

function DaysOff({ off, reads, onChange }: { off: string[]; reads: boolean; onChange(off: string[]): void }) {
  const [date, setDate] = useState('');
  return (
    <fieldset class="days-off" disabled={reads}>
      <legend>{t('shifts.off')}</legend>
      {off.length > 0 && (
        <ul class="tags">
          {off.map((one) => (
            <li key={one} class="tag">
              <span>{one}</span>
              {!reads && (
                <button
                  type="button"
                  aria-label={t('shifts.offRemove', { date: one })}
                  onClick={() => onChange(off.filter((other) => other !== one))}
                >
                  <Icon name="close" />
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {!reads && (
        <span class="span">
          <input
            type="date"
            value={date}
            aria-label={t('shifts.offDate')}
            onInput={(event) => setDate(event.currentTarget.value)}
          />
          <button
            type="button"
            disabled={!date || off.includes(date)}
            onClick={() => {
              onChange([...off, date].sort());
              setDate('');
            }}
          >
            {t('shifts.offAdd')}
          </button>
        </span>
      )}
    </fieldset>
  );
}
