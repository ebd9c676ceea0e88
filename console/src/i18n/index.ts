// All words of the page, in each language; dates and numbers by the browser's own rules for it.

import { language } from '../state/prefs';
import { en } from './en';
import { zh } from './zh';

export type Key = keyof typeof en;
export type Dictionary = Record<Key, string>;

export const dictionaries: Record<'en' | 'zh', Dictionary> = { en, zh };

/** The words under a key, with `{name}` replaced by what is given for it. */
export function t(key: Key, given: Record<string, string | number> = {}): string {
  return fill(dictionaries[language.value][key], given);
}

export function fill(text: string, given: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in given ? String(given[name]) : whole));
}

/** The words for a value of the contract, such as a phase; the value itself, where a newer server has one more. */
export function tv(prefix: string, value: string | null | undefined): string {
  if (!value) return '';
  const key = `${prefix}.${value}`;
  return key in en ? dictionaries[language.value][key as Key] : value;
}

export const locale = () => (language.value === 'zh' ? 'zh-CN' : 'en-GB');

export function clockTime(at: string): string {
  return new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit' }).format(new Date(at));
}

export function day(at: string): string {
  const style = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' } as const;
  return new Intl.DateTimeFormat(locale(), style).format(new Date(at));
}

export function dateTime(at: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at));
}

/** As short as it can be said: `now`, `5m`, `3h`, and days as a date. */
export function ago(at: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(at)) / 1000);
  if (seconds < 45) return t('time.now');
  if (seconds < 3600) return t('time.minutes', { n: Math.max(1, Math.round(seconds / 60)) });
  if (seconds < 86_400) return t('time.hours', { n: Math.round(seconds / 3600) });
  return new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short' }).format(new Date(at));
}

/** `0:42`, `12:05`, `1:02:09`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function percent(share: number): string {
  return new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: 0 }).format(share);
}

export function bytes(size: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
  const step = Math.min(units.length - 1, size > 0 ? Math.floor(Math.log10(size) / 3) : 0);
  const style = {
    style: 'unit',
    unit: units[step]!,
    unitDisplay: 'narrow',
    maximumFractionDigits: step > 1 ? 1 : 0,
  } as const;
  return new Intl.NumberFormat(locale(), style).format(size / 1000 ** step);
}
