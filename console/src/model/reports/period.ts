// From what is wished ("7 days") to moments: days begin where the tenant is, whatever the browser's own zone.

import { TZDate } from '@date-fns/tz';
import type { ReportStep } from '../../api/types';

export const PRESETS = ['today', 'yesterday', '7d', '30d'] as const;
export type Preset = (typeof PRESETS)[number];
/** Days are written `2026-11-23`. */
export type Wish = Preset | { first: string; last: string };

/** Moments in milliseconds since 1970. */
export interface Period {
  from: number;
  /** Up to this moment, which is not part of it; now, where the last day is not over. */
  to: number;
  /** The end of the last day. */
  end: number;
}

export interface Span extends Period {
  first: string;
  last: string;
  step: ReportStep;
  /** Whether its last day is not over. */
  open: boolean;
  /** What it is compared with: as many days, up to the same time of the day. */
  before: Period;
  /** How many days lie between both. */
  shift: number;
}

const DAY_MS = 86_400_000;
/** Days of a report, at most: as many steps as the server allows in a series. */
export const MAX_DAYS = 1_500;
/** Up to this many days are shown by the hour. */
const HOURLY_DAYS = 2;
/** Weekdays differ, so one day is compared with the same one of the week before. */
const WEEK = 7;

const WRITTEN = /^(\d{4})-(\d\d)-(\d\d)$/;

/** Days since 1970 of a day of the calendar; `null` where there is no such day. */
function numberOf(day: string): number | null {
  const found = WRITTEN.exec(day);
  if (!found) return null;
  const at = new Date(`${day}T00:00:00Z`);
  return Number.isNaN(at.getTime()) || at.toISOString().slice(0, 10) !== day ? null : at.getTime() / DAY_MS;
}

export function addDays(day: string, days: number): string {
  return new Date(((numberOf(day) ?? 0) + days) * DAY_MS).toISOString().slice(0, 10);
}

/** The wish that an address names; `null` where it names none. */
export function readWish(text: string | undefined): Wish | null {
  const preset = PRESETS.find((name) => name === text);
  if (preset) return preset;
  const [first = '', last = '', ...more] = (text ?? '').split('..');
  const [from, to] = [numberOf(first), numberOf(last)];
  if (from === null || to === null || more.length > 0 || from > to || to - from >= MAX_DAYS) return null;
  return { first, last };
}

export const writeWish = (wish: Wish): string =>
  typeof wish === 'string' ? wish : `${wish.first}..${wish.last}`;

/** The day of the calendar in a zone. */
export function dayIn(zone: string, at: number): string {
  const there = new TZDate(at, zone);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${there.getFullYear()}-${two(there.getMonth() + 1)}-${two(there.getDate())}`;
}

/** When a day begins in a zone: not at midnight where the clocks are put forward then. */
export function begins(zone: string, day: string): number {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number);
  return new TZDate(year, month - 1, date, zone).getTime();
}

/** The same time on the clocks of a zone, days earlier. */
function earlier(zone: string, at: number, days: number): number {
  const there = new TZDate(at, zone);
  there.setDate(there.getDate() - days);
  return there.getTime();
}

function daysOf(wish: Wish, today: string): [first: string, last: string] {
  switch (wish) {
    case 'today':
      return [today, today];
    case 'yesterday':
      return [addDays(today, -1), addDays(today, -1)];
    case '7d':
      return [addDays(today, -6), today];
    case '30d':
      return [addDays(today, -29), today];
    default:
      return [wish.first, wish.last];
  }
}

export function spanOf(wish: Wish, zone: string, now: number): Span {
  const [first, last] = daysOf(wish, dayIn(zone, now));
  const days = (numberOf(last) ?? 0) - (numberOf(first) ?? 0) + 1;
  const shift = days === 1 ? WEEK : days;
  const [from, end] = [begins(zone, first), begins(zone, addDays(last, 1))];
  const open = from < now && now < end;
  const before = { from: begins(zone, addDays(first, -shift)), end: begins(zone, addDays(last, 1 - shift)) };
  return {
    first,
    last,
    step: days <= HOURLY_DAYS ? 'hour' : 'day',
    open,
    from,
    to: open ? now : end,
    end,
    before: { ...before, to: open ? earlier(zone, now, shift) : before.end },
    shift,
  };
}
