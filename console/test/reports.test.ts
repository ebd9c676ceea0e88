import { describe, expect, it } from 'vitest';
import type { Report, ReportRow } from '../src/api/types';
import { csv, csvField } from '../src/model/csv';
import { addDays, begins, dayIn, MAX_DAYS, readWish, spanOf, writeWish } from '../src/model/reports/period';
import {
  alongside,
  busiest,
  changeOf,
  isEmpty,
  linesBy,
  momentsOf,
  sparkPath,
  wholeLine,
} from '../src/model/reports/series';
import { clicked, sorted } from '../src/model/reports/table';

const utc = (at: number) => new Date(at).toISOString();
const HOUR = 3_600_000;

describe('CSV', () => {
  it('keeps separators, quotes and line breaks inside of their field', () => {
    expect(csvField('a,b')).toBe('"a,b"');
    expect(csvField('say "hi"')).toBe('"say ""hi"""');
    expect(csvField('two\r\nlines')).toBe('"two\r\nlines"');
    expect(csvField('a;b')).toBe('"a;b"');
    expect(csvField(' padded ')).toBe('" padded "');
    expect(csvField('plain 王芳')).toBe('plain 王芳');
  });
  it('never has a text run as a formula', () => {
    for (const text of [
      '=1+1',
      '+1',
      '-1',
      '@SUM(A1)',
      '\t=1',
      '\r=1',
      '\n=1',
      '  =1',
      '＝1',
      '＋1',
      '－1',
      '＠A',
    ]) {
      expect(csvField(text).replace(/^"/, '').startsWith("'"), JSON.stringify(text)).toBe(true);
    }
    expect(csvField('=HYPERLINK("http://x.example","y")')).toBe('"\'=HYPERLINK(""http://x.example"",""y"")"');
  });
  it('leaves numbers numbers, and what is not there empty', () => {
    expect([-3, 0.5, 1e-7, null, undefined, Number.NaN].map(csvField)).toEqual([
      '-3',
      '0.5',
      '1e-7',
      '',
      '',
      '',
    ]);
  });
  it('has a row per line, and tells spreadsheets that it is UTF-8', () => {
    expect(
      csv([
        ['a', 1],
        ['b', null],
      ]),
    ).toBe('\uFEFFa,1\r\nb,\r\n');
  });
});

describe('days', () => {
  it('are read from an address, and nothing else is', () => {
    expect(readWish('7d')).toBe('7d');
    expect(readWish('2026-01-01..2026-01-31')).toEqual({ first: '2026-01-01', last: '2026-01-31' });
    for (const wrong of [
      undefined,
      '',
      '8d',
      '2026-02-30..2026-03-01',
      '2026-02-02..2026-02-01',
      '2026-01-01',
      '2026-01-01..2026-01-02..2026-01-03',
      `2020-01-01..${addDays('2020-01-01', MAX_DAYS)}`,
    ]) {
      expect(readWish(wrong), String(wrong)).toBeNull();
    }
    expect(writeWish(readWish('2026-01-01..2026-01-31')!)).toBe('2026-01-01..2026-01-31');
    expect(writeWish('today')).toBe('today');
  });

  it('begin where the tenant is', () => {
    const late = Date.parse('2026-11-22T23:30:00Z');
    expect(dayIn('UTC', late)).toBe('2026-11-22');
    expect(dayIn('Asia/Shanghai', late)).toBe('2026-11-23');
    expect(dayIn('America/New_York', late)).toBe('2026-11-22');
    expect(utc(begins('Asia/Shanghai', '2026-11-23'))).toBe('2026-11-22T16:00:00.000Z');
    expect(utc(begins('Asia/Kolkata', '2026-11-23'))).toBe('2026-11-22T18:30:00.000Z');
  });

  it('are as long as they are where the clocks change', () => {
    const length = (zone: string, day: string) => (begins(zone, addDays(day, 1)) - begins(zone, day)) / HOUR;
    expect(length('Europe/Berlin', '2026-03-29')).toBe(23);
    expect(length('Europe/Berlin', '2026-10-25')).toBe(25);
    // There the clocks go from midnight to one.
    expect(length('America/Santiago', '2026-09-06')).toBe(23);
    expect(utc(begins('America/Santiago', '2026-09-06'))).toBe('2026-09-06T04:00:00.000Z');
  });

  it('today ends now, and is compared with the same time a week ago', () => {
    const now = Date.parse('2026-03-30T10:15:00Z');
    const span = spanOf('today', 'Europe/Berlin', now);
    expect([utc(span.from), utc(span.to), utc(span.end)]).toEqual([
      '2026-03-29T22:00:00.000Z',
      '2026-03-30T10:15:00.000Z',
      '2026-03-30T22:00:00.000Z',
    ]);
    // A week before, the clocks there were an hour behind: it was 12:15 an hour later.
    expect([utc(span.before.from), utc(span.before.to), utc(span.before.end)]).toEqual([
      '2026-03-22T23:00:00.000Z',
      '2026-03-23T11:15:00.000Z',
      '2026-03-23T23:00:00.000Z',
    ]);
    expect(span).toMatchObject({ step: 'hour', open: true, shift: 7 });
  });

  it('that are over are compared with as many days before them', () => {
    const now = Date.parse('2026-11-23T03:00:00Z');
    const span = spanOf({ first: '2026-10-01', last: '2026-10-31' }, 'UTC', now);
    expect(span).toMatchObject({ step: 'day', open: false, shift: 31 });
    expect([utc(span.from), utc(span.to)]).toEqual(['2026-10-01T00:00:00.000Z', '2026-11-01T00:00:00.000Z']);
    expect([utc(span.before.from), utc(span.before.to)]).toEqual([
      '2026-08-31T00:00:00.000Z',
      '2026-10-01T00:00:00.000Z',
    ]);
    const week = spanOf('7d', 'UTC', now);
    expect([week.first, week.last, week.open]).toEqual(['2026-11-17', '2026-11-23', true]);
    expect(utc(week.before.to)).toBe('2026-11-16T03:00:00.000Z');
    const yesterday = spanOf('yesterday', 'UTC', now);
    expect([yesterday.first, yesterday.step, yesterday.open]).toEqual(['2026-11-22', 'hour', false]);
  });
});

const report = (...rows: ReportRow[]): Report => ({
  seq: 1,
  zone: 'UTC',
  from: '',
  to: '',
  by: 'all',
  metrics: [],
  rows,
});
const at = (hour: number) => utc(Date.UTC(2026, 10, 23, hour));

describe('a series', () => {
  const whole = report(
    { at: at(0), figures: { waits: 2, asa: 5 } },
    { at: at(1), figures: {} },
    { at: at(2), figures: { waits: 0 } },
  );

  it('has no number where there is nothing to tell or it has not come yet, but counts from 0', () => {
    expect(momentsOf(whole)).toEqual([at(0), at(1), at(2)]);
    expect(wholeLine(whole, 'waits', 'count')).toEqual([2, 0, 0]);
    expect(wholeLine(whole, 'asa', 'seconds')).toEqual([5, null, null]);
    expect(wholeLine(whole, 'waits', 'count', Date.parse(at(1)))).toEqual([2, null, null]);
  });

  it('of a value has a point at every moment of the whole', () => {
    const each = report(
      { at: at(2), value: 'a', figures: { waits: 3 } },
      { at: at(0), value: 'b', figures: {} },
    );
    const lines = linesBy(
      each,
      momentsOf(whole),
      ['b', 'a', 'c'],
      'waits',
      'count',
      Number.POSITIVE_INFINITY,
    );
    expect(lines).toEqual([
      [0, 0, 0],
      [0, 0, 3],
      [0, 0, 0],
    ]);
  });

  it('of before is as long as that of now', () => {
    expect(alongside([1, 2, 3], 2)).toEqual([1, 2]);
    expect(alongside([1], 2)).toEqual([1, null]);
  });

  it('draws those with most to do', () => {
    const rows = ['c', 'a', 'b', ''].map(
      (value, waits): ReportRow => ({
        value,
        figures: waits === 2 ? {} : { waits },
      }),
    );
    expect(busiest(report(...rows), 'waits', 2)).toEqual(['a', 'b']);
    expect(busiest(report(), 'waits')).toEqual([]);
  });

  it('is empty where nothing happened', () => {
    expect(isEmpty([])).toBe(true);
    expect(isEmpty([{ points: [0, null, 0] }])).toBe(true);
    expect(isEmpty([{ points: [0, null] }, { points: [0.5] }])).toBe(false);
  });
});

describe('a spark', () => {
  it('is nothing without points, a dot for one, and has gaps', () => {
    expect(sparkPath([], 100, 10)).toBe('');
    expect(sparkPath([null, null], 100, 10)).toBe('');
    expect(sparkPath([3], 100, 10)).toBe('M50 0h0');
    expect(sparkPath([1, 2, null, 2], 90, 10)).toBe('M0 5L30 0M90 0h0');
  });
  it('lies at the bottom where all is 0, and shows what is below 0', () => {
    expect(sparkPath([0, 0], 100, 10)).toBe('M0 10L100 10');
    expect(sparkPath([-1, 1], 100, 10)).toBe('M0 10L100 0');
  });
});

describe('a change', () => {
  it('is relative for counts and times, and a difference for shares and scores', () => {
    expect(changeOf(12, 10, 'count')).toEqual({ kind: 'relative', by: 0.2 });
    expect(changeOf(5, 10, 'seconds')).toEqual({ kind: 'relative', by: -0.5 });
    expect(changeOf(0.75, 0.5, 'share')).toEqual({ kind: 'points', by: 25 });
    expect(changeOf(4.5, 4, 'score')).toEqual({ kind: 'difference', by: 0.5 });
  });
  it('is not made up where there is nothing to compare with', () => {
    expect(changeOf(12, 0, 'count')).toBeNull();
    expect(changeOf(12, -3, 'count')).toBeNull();
    expect(changeOf(12, undefined, 'count')).toBeNull();
    expect(changeOf(undefined, 12, 'share')).toBeNull();
  });
});

describe('a table', () => {
  const row = (name: string, aht?: number) => ({
    value: name,
    name,
    figures: aht === undefined ? {} : ({ aht } as Record<string, number>),
    before: {},
  });
  const rows = [row('queue 10', 3), row('queue 9'), row('b', 1), row('a', 3)];
  const names = (by: string, descending: boolean) =>
    sorted(rows, { by, descending }, 'en').map(({ name }) => name);

  it('is sorted by figures, with what has none last, whichever way is up', () => {
    expect(names('aht', true)).toEqual(['a', 'queue 10', 'b', 'queue 9']);
    expect(names('aht', false)).toEqual(['b', 'a', 'queue 10', 'queue 9']);
  });
  it('is sorted by names as people sort them', () => {
    expect(names('', false)).toEqual(['a', 'b', 'queue 9', 'queue 10']);
    expect(names('', true)).toEqual(['queue 10', 'queue 9', 'b', 'a']);
  });
  it('turns round when a heading is clicked again', () => {
    expect(clicked({ by: 'aht', descending: true }, 'aht')).toEqual({ by: 'aht', descending: false });
    expect(clicked({ by: 'aht', descending: false }, 'csat')).toEqual({ by: 'csat', descending: true });
    expect(clicked({ by: 'aht', descending: true }, '')).toEqual({ by: '', descending: false });
  });
});
