// A slider over time: what it looks at was so, and is not now.

import type { ComponentChildren } from 'preact';
import { dateTime, t } from '../i18n';
import { Icon } from './icons';

export function TimeSlider({
  place,
  last,
  at,
  onPlace,
  onKey,
  onClose,
  children,
}: {
  /** From 0 to `last`, which is now. */
  place: number;
  last: number;
  /** The moment of the place. */
  at: string | undefined;
  onPlace(place: number): void;
  /** A key that the slider does not take by itself; the place that it leads to, if to any. */
  onKey?: (key: string) => number | null;
  onClose(): void;
  /** What stands beside it. */
  children?: ComponentChildren;
}) {
  return (
    <div class="slider">
      <Icon name="history" />
      <input
        type="range"
        min={0}
        max={Math.max(0, last)}
        value={place}
        aria-label={t('moment.label')}
        aria-valuetext={at ? dateTime(at) : ''}
        onInput={(event) => onPlace(Number(event.currentTarget.value))}
        onKeyDown={(event) => {
          const next = onKey?.(event.key) ?? null;
          if (next === null) return;
          event.preventDefault();
          onPlace(next);
        }}
      />
      <time class="figure" dateTime={at}>
        {at ? dateTime(at) : ''}
      </time>
      {children}
      <button type="button" class="icon-button" aria-label={t('moment.close')} onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}
