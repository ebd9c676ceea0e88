import { describe, expect, it } from 'vitest';
import type { Contact, ContactDetails } from '../src/api/types';
import { type Clause, type Condition, celOf, conditionOf, SUBJECTS, TESTS } from '../src/model/conditions';
import { isMeant, merged, older } from '../src/model/contacts';
import { draftOf, freeName, moved, type Rule, ruleOf, warningsOf, wrongOf } from '../src/model/rules';
import { emptyWeek, hoursOf, minutesOf, weekOf, wrongDay } from '../src/model/shifts';

describe('shifts', () => {
  it('come back as they were', () => {
    const hours = { monday: ['09:00-12:00', '13:00-17:30'], sunday: ['18:00-24:00'] };
    expect(hoursOf(weekOf({ time_zone: 'UTC', hours }))).toEqual(hours);
    expect(minutesOf(weekOf({ time_zone: 'UTC', hours }))).toBe((3 + 4.5 + 6) * 60);
  });
  it('are divided at midnight, on Sundays too', () => {
    const week = {
      ...emptyWeek(),
      friday: [{ from: '22:00', to: '06:00' }],
      sunday: [{ from: '20:00', to: '02:00' }],
    };
    expect(hoursOf(week)).toEqual({
      friday: ['22:00-24:00'],
      saturday: ['00:00-06:00'],
      sunday: ['20:00-24:00'],
      monday: ['00:00-02:00'],
    });
    expect(hoursOf({ ...emptyWeek(), monday: [{ from: '00:00', to: '00:00' }] })).toEqual({
      monday: ['00:00-24:00'],
    });
  });
  it('name the day on which a time is missing or ends as it begins, and count twice nothing', () => {
    expect(wrongDay({ ...emptyWeek(), tuesday: [{ from: '09:00', to: '' }] })).toBe('tuesday');
    expect(wrongDay({ ...emptyWeek(), tuesday: [{ from: '09:00', to: '09:00' }] })).toBe('tuesday');
    const twice = [
      { from: '09:00', to: '12:00' },
      { from: '11:00', to: '13:00' },
    ];
    expect(minutesOf({ ...emptyWeek(), monday: twice })).toBe(4 * 60);
  });
});

describe('contacts', () => {
  const contact = (key: string, details: ContactDetails, first_seen = '2026-01-01T00:00:00Z'): Contact => ({
    key,
    version: 1,
    at: first_seen,
    details,
    state: { first_seen },
  });
  const ann = contact('a', {
    name: 'Ann',
    identities: [{ channel: 'web', id: 'ann' }],
    attributes: { email: 'ann@shop.example', plan: 'gold' },
    tags: ['vip'],
  });
  const bob = contact(
    'b',
    {
      name: 'A. Berg',
      identities: [
        { channel: 'app', id: '17' },
        { channel: 'web', id: 'ann' },
      ],
      attributes: { plan: 'basic', city: 'Bonn' },
      tags: ['vip', 'late'],
    },
    '2025-06-01T00:00:00Z',
  );
  it('are merged as the engine does it: what stays has the first word', () => {
    const result = merged(ann, bob);
    expect(result.name).toEqual({ value: 'Ann', isNew: false });
    expect(result.identities.map((piece) => [piece.value.channel, piece.isNew])).toEqual([
      ['web', false],
      ['app', true],
    ]);
    expect(result.attributes).toEqual([
      { value: { name: 'email', value: 'ann@shop.example' }, isNew: false },
      { value: { name: 'plan', value: 'gold', instead: 'basic' }, isNew: false },
      { value: { name: 'city', value: 'Bonn' }, isNew: true },
    ]);
    expect(result.tags.map((piece) => piece.value)).toEqual(['vip', 'late']);
    expect(older(ann, bob)).toBe(bob);
  });
  it('are meant by words in any of what is known', () => {
    const summary = { ...ann.details, key: 'a', version: 1 };
    for (const words of ['ann', 'WEB:ann', 'gold ann', 'shop.example', 'vip'])
      expect(isMeant(summary, words)).toBe(true);
    expect(isMeant(summary, 'ann basic')).toBe(false);
  });
});

describe('conditions', () => {
  it('are read back as they were written, each subject with each test', () => {
    const value = "it's \\ 退款, (a || b) && c";
    for (const subject of SUBJECTS) {
      for (const test of TESTS[subject]) {
        const numbers: Partial<Record<string, string[]>> = {
          hour: ['22', '6'],
          weekday: ['1', '7'],
          session: ['2'],
        };
        const flag =
          ['returning', 'wants_person', 'open'].includes(subject) || (test === 'yes' && subject !== 'tags');
        const none = flag || (test === 'no' && subject !== 'tags');
        const values =
          numbers[subject] ?? (none ? [] : test === 'in' || test === 'contains' ? [value, 'x'] : [value]);
        const field = ['collected', 'metadata'].includes(subject) ? { field: 'order_number' } : {};
        const clause: Clause = { subject, test, values, ...field };
        for (const all of [true, false]) {
          const condition: Condition = {
            all,
            clauses: [clause, { subject: 'open', test: 'no', values: [] }],
          };
          expect(conditionOf(celOf(condition)), celOf(condition)).toEqual(condition);
        }
      }
    }
    expect(conditionOf('true')).toEqual({ all: true, clauses: [] });
  });
  it('that are more than clauses are left to people', () => {
    for (const cel of [
      "channel == 'web' && open || returning",
      "language.startsWith('zh') || text.matches(r'\\p{Han}')",
      "tags.exists(t, t.startsWith('vip'))",
      "text.contains('refund')",
      "channel=='web'",
      '(hour >= 22 && hour < 6)',
      "text.lowerAscii().contains('Refund')",
      "text.lowerAscii().contains('a') || text.contains('b')",
      '',
      "channel == '",
    ]) {
      expect(conditionOf(cel), cel).toBeNull();
    }
  });
});

describe('rules', () => {
  const rule: Rule = { name: 'refunds', when: "'a' in tags", then: { queue: 'sales', priority: 0 } };
  it('come back as they were, and are off without being lost', () => {
    expect(ruleOf(draftOf(rule, 1))).toEqual(rule);
    const off = ruleOf({ ...draftOf(rule, 1), on: false });
    expect(off.when).toBe("false && ('a' in tags)");
    expect(draftOf(off, 2)).toMatchObject({ on: false, when: rule.when });
    const own = { ...rule, when: 'false && (open) || (returning)' };
    expect(draftOf(own, 1)).toMatchObject({ on: true, when: own.when });
  });
  it('are moved, and not beyond the ends', () => {
    expect(moved(['a', 'b', 'c'], 2, 0)).toEqual(['c', 'a', 'b']);
    expect(moved(['a', 'b'], 0, 1)).toEqual(['b', 'a']);
    expect(moved(['a', 'b'], 1, 2)).toEqual(['a', 'b']);
  });
  it('are found where the server says that one is wrong', () => {
    const drafts = [rule, { ...rule, when: 'false && (x)' }].map(draftOf);
    const wrong = (message: string) => wrongOf(message, drafts);
    expect(wrong('rules[0].when (rule "a \\"b\\""), line 1, column 13: no')).toEqual({
      rule: 0,
      field: 'when',
      message: 'line 1, column 13: no',
    });
    expect(wrong('rules[1].when (rule "x"), line 1, column 11: no').message).toBe('line 1, column 1: no');
    expect(wrong('rules[0].then.required.tax (rule "x"): no')).toEqual({
      rule: 0,
      field: 'required',
      message: 'no',
    });
    expect(wrong('rules: has 101 rules')).toEqual({ message: 'rules: has 101 rules' });
  });
  it('are warned about where they name what is not there, or are never read', () => {
    const drafts = [
      { name: 'all', when: 'true', then: {} },
      { ...rule, then: { queue: 'x', collect: ['y'] } },
    ].map(draftOf);
    expect(warningsOf(drafts, 0, ['sales'], []).map((one) => one.kind)).toEqual(['nothing']);
    expect(warningsOf(drafts, 1, ['sales'], []).map((one) => one.kind)).toEqual(['queue', 'field', 'unread']);
    expect(freeName(drafts, 'all')).toBe('all 2');
  });
});
