import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeText, figuresZh, figureText, seconds } from '../src/i18n/figures';
import * as presets from '../src/model/reports/presets';

/** The server's definitions: the one place where figures are defined. */
const source = readFileSync(join(import.meta.dirname, '../../src/reporting/metric/metrics.rs'), 'utf8');
const metrics = new Map(
  [...source.matchAll(/"(\w+)"@(\d+)\s+"[^"]*",\s*(\w+),\s*(\w+),[\s\S]*?\[([\w, ]*)\],\s*"/g)].map(
    ([, name, , unit, whose, by]) => [
      name!,
      { unit: unit!.toLowerCase(), whose: whose!.toLowerCase(), by: by!.toLowerCase().split(', ') },
    ],
  ),
);
const charts = [...presets.OVERVIEW_CHARTS, ...presets.BOT_CHARTS];
const breakdowns = [presets.QUEUES, presets.AGENTS, presets.INTENTS, presets.ENTRIES];

describe('the figures of the pages', () => {
  it('are read from the server’s definitions', () => {
    expect(metrics.size).toBe([...source.matchAll(/^ {4}"\w+"@\d+/gm)].length);
    expect(metrics.get('service_level')).toEqual({
      unit: 'share',
      whose: 'people',
      by: ['channel', 'queue', 'skill'],
    });
  });

  it('have a Chinese name each', () => {
    expect(Object.keys(figuresZh).sort()).toEqual([...metrics.keys()].sort());
  });

  it('are figures that the server has, so that no page asks for what is refused', () => {
    const { OVERVIEW_TILES: tiles } = presets;
    const shown = [
      ...Object.values(tiles).flat(),
      ...presets.BOT_TILES,
      ...charts.flatMap((one) => one.metrics),
    ];
    expect(shown.filter((name) => !metrics.has(name))).toEqual([]);
    for (const { by, metrics: names, main } of breakdowns) {
      expect(names.filter((name) => !metrics.get(name)?.by.includes(by))).toEqual([]);
      expect(names).toContain(main);
      expect(metrics.get(main)?.unit).toBe('count');
    }
  });

  it('never mix the bot and people in one chart, or two units', () => {
    for (const { name, metrics: names } of charts) {
      expect(new Set(names.map((one) => metrics.get(one)?.whose)).size, name).toBe(1);
      expect(new Set(names.map((one) => metrics.get(one)?.unit)).size, name).toBe(1);
    }
  });

  it('stand under those whose work they tell of', () => {
    for (const [whose, names] of Object.entries(presets.OVERVIEW_TILES)) {
      for (const name of names) expect(metrics.get(name)?.whose, name).toBe(whose);
    }
    for (const name of presets.BOT_TILES) expect(metrics.get(name)?.whose, name).toBe('bot');
  });
});

describe('a figure in words', () => {
  it('has its unit, and a dash where there is nothing to tell', () => {
    expect(figureText(undefined, 'share')).toBe('–');
    expect(figureText(null, 'count')).toBe('–');
    expect(figureText(0.1234, 'share')).toBe('12.3%');
    expect(figureText(1234, 'count')).toBe('1,234');
    expect(figureText(4.158, 'score')).toBe('4.16');
  });
  it('is said in the unit that people would take', () => {
    expect([0, 0.007, 4.25, 90, 2_100, 5_400, 9_000, 200_000].map(seconds)).toEqual([
      '0 secs',
      '7 ms',
      '4.3 secs',
      '90 secs',
      '35 mins',
      '90 mins',
      '2.5 hrs',
      '2.3 days',
    ]);
  });
  it('says how it has changed with a sign, and shares in points', () => {
    expect(changeText({ kind: 'relative', by: 0.123 })).toBe('+12%');
    expect(changeText({ kind: 'relative', by: 0.012 })).toBe('+1.2%');
    expect(changeText({ kind: 'relative', by: 0 })).toBe('0%');
    expect(changeText({ kind: 'points', by: -3.14 })).toBe('-3.1 pp');
    expect(changeText({ kind: 'difference', by: 0.25 })).toBe('+0.25');
  });
});
