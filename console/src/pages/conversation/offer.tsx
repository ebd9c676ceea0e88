// An open offer to this user: who it is, how long there is left, and the two buttons.

import { useEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n';
import type { Row } from '../../model/fold';
import { now, serverNow } from '../../state/clock';
import { myKey } from '../../state/session';
import { Until } from '../../ui/parts';
import { start } from './actions';

export function OfferBanner({ row }: { row: Row }) {
  const button = useRef<HTMLButtonElement>(null);
  const mine = row.phase === 'offered' && row.offer?.agent === myKey();
  const first = useRef(now.value);
  useEffect(() => {
    first.current = serverNow();
    // Enter accepts, unless the user is writing somewhere.
    const busy = document.activeElement?.matches('input, textarea, select, [contenteditable]');
    if (mine && !busy) button.current?.focus();
  }, [row.offer?.id, mine]);
  if (!mine || !row.offer) return null;
  const left = Math.max(0, Date.parse(row.offer.deadline) - now.value);
  const whole = Math.max(1, Date.parse(row.offer.deadline) - first.current);
  return (
    <section class="offer" aria-label={t('offer.title')}>
      <div class="grow">
        <strong>{t('offer.title')}</strong>
        <p class="offer-facts">
          {row.queue} · {t('offer.left')} <Until at={row.offer.deadline} />
        </p>
        <progress max={1} value={Math.min(1, left / whole)} aria-label={t('offer.left')} />
      </div>
      <button
        type="button"
        class="primary"
        ref={button}
        data-key="accept"
        onClick={() => start('accept', row)}
      >
        {t('action.accept')} <kbd>↵</kbd>
      </button>
      <button type="button" onClick={() => start('reject', row)} data-key="reject">
        {t('action.reject')}…
      </button>
    </section>
  );
}
