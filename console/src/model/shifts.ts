// Shifts as the form has them, and as the contract does.

import type { AgentShifts } from '../api/types';

export const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;
export type Day = (typeof DAYS)[number];

/** From and to as a field for a time has them: the midnight at the end of a day is `00:00`. */
export interface Span {
  from: string;
  to: string;
}

export type Week = Record<Day, Span[]>;

const END = '24:00';
const MIDNIGHT = '00:00';

export function emptyWeek(): Week {
  return Object.fromEntries(DAYS.map((day) => [day, [] as Span[]])) as Week;
}

export function weekOf(shifts: AgentShifts): Week {
  const week = emptyWeek();
  for (const day of DAYS) {
    week[day] = (shifts.hours[day] ?? []).map((text) => {
      const [from = '', to = ''] = text.split('-').map((part) => part.trim());
      return { from, to: to === END ? MIDNIGHT : to };
    });
  }
  return week;
}

const minutes = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/** The first day that has a time without a beginning or an end, or one that ends where it begins. */
export function wrongDay(week: Week): Day | undefined {
  const isWrong = ({ from, to }: Span) => !from || !to || (from === to && from !== MIDNIGHT);
  return DAYS.find((day) => week[day].some(isWrong));
}

/** As the contract has it: what goes past midnight is divided there, and a day's times are in order. */
export function hoursOf(week: Week): Partial<Record<Day, string[]>> {
  const hours: Partial<Record<Day, string[]>> = {};
  const add = (day: Day, from: string, to: string) => {
    const times = hours[day] ?? [];
    const text = `${from}-${to}`;
    if (!times.includes(text)) hours[day] = [...times, text].sort();
  };
  DAYS.forEach((day, index) => {
    for (const { from, to } of week[day]) {
      const end = to === MIDNIGHT ? END : to;
      if (minutes(from) < minutes(end)) {
        add(day, from, end);
      } else {
        add(day, from, END);
        add(DAYS[(index + 1) % DAYS.length]!, MIDNIGHT, to);
      }
    }
  });
  return hours;
}

/** Minutes of work in a week; what two times share counts once. */
export function minutesOf(week: Week): number {
  if (wrongDay(week)) return 0;
  let sum = 0;
  for (const times of Object.values(hoursOf(week))) {
    let until = 0;
    for (const text of times) {
      const [from = 0, to = 0] = text.split('-').map(minutes);
      sum += Math.max(0, to - Math.max(from, until));
      until = Math.max(until, to);
    }
  }
  return sum;
}
