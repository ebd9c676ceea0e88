// Which days are looked at.

import { useState } from 'preact/hooks';
import { t } from '../../i18n';
import { dayText, momentText } from '../../i18n/figures';
import { MAX_DAYS, PRESETS, readWish, type Span, type Wish, writeWish } from '../../model/reports/period';
import type { Part } from '../../model/reports/presets';
import { go, href } from '../../state/route';
import { Field } from '../../ui/parts';

export function RangePicker({ part, wish, span }: { part: Part; wish: Wish; span: Span | null }) {
  const [own, setOwn] = useState(typeof wish !== 'string');
  const [wrong, setWrong] = useState(false);

  function show(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const wanted = readWish(`${form.get('first')}..${form.get('last')}`);
    setWrong(wanted === null);
    if (wanted) go('reports', part, writeWish(wanted));
  }

  return (
    <div class="range">
      <nav aria-label={t('reports.range')}>
        {PRESETS.map((preset) => (
          <a
            key={preset}
            class="button"
            href={href('reports', part, preset)}
            aria-current={preset === wish ? 'true' : undefined}
            onClick={() => setOwn(false)}
          >
            {t(`reports.range.${preset}`)}
          </a>
        ))}
        <button
          type="button"
          aria-expanded={own}
          class={typeof wish === 'string' ? undefined : 'chosen'}
          onClick={() => setOwn(!own)}
        >
          {t('reports.range.custom')}
        </button>
      </nav>
      {own && (
        <form class="form-row" onSubmit={show} key={writeWish(wish)}>
          <Field label={t('reports.range.first')}>
            <input type="date" name="first" required defaultValue={span?.first} />
          </Field>
          <Field label={t('reports.range.last')}>
            <input type="date" name="last" required defaultValue={span?.last} />
          </Field>
          <button type="submit">{t('reports.range.show')}</button>
          <p class="form-error" role="alert">
            {wrong && t('reports.range.wrong', { n: MAX_DAYS })}
          </p>
        </form>
      )}
    </div>
  );
}

/** Which days these are, where, and what they are compared with. */
export function SpanText({ span, zone }: { span: Span; zone: string }) {
  const days = span.shift;
  const isDay = span.first === span.last;
  const compared = isDay
    ? t(span.open ? 'reports.span.weekSoFar' : 'reports.span.week')
    : t(span.open ? 'reports.span.beforeSoFar' : 'reports.span.before', { n: days });
  // The last moment that is part of it, since its end is the next day.
  const to = span.open ? momentText(span.to, zone) : dayText(span.end - 1, zone);
  return (
    <p class="muted span">
      {t('reports.span', { from: dayText(span.from, zone), to, zone })} · {compared}
    </p>
  );
}
