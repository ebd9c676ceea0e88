// Which moments a slider over time stands at: a step apart, and its last place is the end of what it reaches.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Minutes, where it is a whole day. */
const STEPS_MS = [SECOND_MS, 5 * SECOND_MS, 15 * SECOND_MS, MINUTE_MS];
/** More places than this nobody can tell apart by hand. */
const MOST = 1440;
/** Steps that the keys for pages go on by. */
const PAGE = 15;
/** So far behind its own clock the page counts what the server has seen as past. */
const BEHIND_MS = 2000;

/** In ms. */
export interface Reach {
  from: number;
  to: number;
  step: number;
  /** Its end is now. */
  live: boolean;
}

/** The last 24 hours, but nothing from before there was anything. */
export function lastDay(now: number, began: number | null): Reach {
  const to = now - BEHIND_MS;
  return { ...within(to - DAY_MS, to, began), live: true };
}

/** What the slider reaches so that a moment is on it: what it does, where that is enough, or the day around the moment. */
export function reachFor(reach: Reach, moment: number, now: number, began: number | null): Reach {
  if (moment >= reach.from && moment <= reach.to) return reach;
  const last = lastDay(now, began);
  if (moment >= last.from) return last;
  return { ...within(moment - DAY_MS / 2, moment + DAY_MS / 2, began), live: false };
}

function within(from: number, to: number, began: number | null): Omit<Reach, 'live'> {
  const first = Math.max(from, began ?? from);
  const step = STEPS_MS.find((one) => to - first <= one * MOST) ?? MINUTE_MS;
  // Whole steps are easier to say.
  return { from: Math.min(Math.ceil(first / step) * step, to), to, step };
}

/** The last place. */
export function lastPlace({ from, to, step }: Reach): number {
  return Math.max(0, Math.ceil((to - from) / step));
}

export function momentAt(reach: Reach, place: number): number {
  return place >= lastPlace(reach) ? reach.to : reach.from + Math.max(0, place) * reach.step;
}

/** The place of a moment, or the one before it. */
export function placeOf(reach: Reach, moment: number): number {
  if (moment >= reach.to) return lastPlace(reach);
  return Math.max(0, Math.floor((moment - reach.from) / reach.step));
}

/** Where a key leads that the browser would take for a tenth of the whole. */
export function placeByKey(key: string, place: number, last: number): number | null {
  if (key === 'PageUp') return Math.min(last, place + PAGE);
  if (key === 'PageDown') return Math.max(0, place - PAGE);
  return null;
}

/** A moment as a field for date and time has it, where the user is. */
export function fieldText(moment: number): string {
  const local = new Date(moment - new Date(moment).getTimezoneOffset() * MINUTE_MS);
  return local.toISOString().slice(0, 16);
}

/** What such a field says; `null`: nothing yet. */
export function fieldMoment(text: string): number | null {
  // What is typed half is a date to some browsers.
  const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isFinite(moment) ? moment : null;
}
