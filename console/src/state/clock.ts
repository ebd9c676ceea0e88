// The server's time: deadlines are the server's, and the clock of an agent's computer may be wrong.

import { signal } from '@preact/signals';

let aheadMs = 0;

/** Counts the seconds; whatever shows a duration reads it, and so is drawn anew. */
export const now = signal(Date.now());

/** The same for what is said in minutes: drawn anew a few times a minute. */
export const coarseNow = signal(Date.now());

export function serverNow(): number {
  return Date.now() + aheadMs;
}

export function learnServerTime(at: string): void {
  const difference = Date.parse(at) - Date.now();
  // Less than this is the network's delay, and taking it in would make times jump.
  if (Number.isFinite(difference)) aheadMs = Math.abs(difference) < 1500 ? 0 : difference;
}

export function startClock(): void {
  setInterval(() => {
    now.value = serverNow();
    if (now.value - coarseNow.value > 15_000) coarseNow.value = now.value;
  }, 1000);
}
