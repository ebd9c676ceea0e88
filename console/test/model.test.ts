import { describe, expect, it } from 'vitest';
import type { AnyEvent, Commit } from '../src/api/types';
import { actionsFor } from '../src/model/actions';
import { diff, pretty } from '../src/model/diff';
import { emptyRow, foldRow, type Row, take } from '../src/model/fold';
import { belongs, ordered } from '../src/model/lists';
import { fillMacro, firstGap } from '../src/model/macros';
import { readSkills } from '../src/model/skills';
import { isHarmless, takenBy } from '../src/model/stale';
import { lastQuestion, timelineOf } from '../src/model/timeline';
import { scenario } from './fixtures/scenario';

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 12, 0, second)).toISOString();
const commit = (version: number, ...events: Partial<AnyEvent>[]): Commit =>
  ({ key: 'k', aggregate: 'conversation', version, at: at(version), events }) as Commit;

describe('rows', () => {
  it('drop what they have, fold what comes next, and ask where something is missing', () => {
    const row = { ...emptyRow('k', at(0)), version: 4 };
    expect(take(row, commit(4)).outcome).toBe('dropped');
    expect(take(row, commit(5, { type: 'held' }))).toMatchObject({
      outcome: 'folded',
      row: { version: 5, held: true },
    });
    expect(take(row, commit(6)).outcome).toBe('missing');
    expect(take(undefined, commit(3)).outcome).toBe('missing');
    expect(take(undefined, commit(1)).outcome).toBe('folded');
  });

  it('are the same, however a recorded conversation is cut and taken in twice', () => {
    const all = scenario.reduce(foldRow, emptyRow('k', at(0)));
    for (let cut = 0; cut <= scenario.length; cut += 1) {
      let row: Row | undefined;
      for (const one of [...scenario.slice(0, cut), ...scenario]) {
        const taken = take(row, one);
        if (taken.outcome === 'folded') row = taken.row;
      }
      expect(row).toEqual(all);
    }
  });

  it('follow a recorded conversation through its phases', () => {
    const phases = new Set<string>();
    let row = emptyRow('k', at(0));
    for (const one of scenario) {
      row = foldRow(row, one);
      phases.add(row.phase);
      if (row.phase !== 'offered') expect(row.offer ?? null).toBeNull();
      if (row.phase === 'queued') expect(row.waits_since).toBeTruthy();
    }
    expect([...phases]).toEqual(['bot', 'queued', 'offered', 'active', 'wrap_up', 'closed']);
    expect(row).toMatchObject({ phase: 'closed', session: 1, agent: null, tags: ['refund'] });
  });

  it('keep the time of waiting through a rejected offer', () => {
    const queued = foldRow(emptyRow('k', at(0)), commit(1, { type: 'queued', queue: 'q', priority: 0 }));
    const offered = foldRow(
      queued,
      commit(2, { type: 'offer_made', offer: 'o', agent: 'a', deadline: at(60) }),
    );
    const again = foldRow(offered, commit(3, { type: 'offer_rejected', offer: 'o', agent: 'a' }));
    expect(again).toMatchObject({ phase: 'queued', waits_since: at(1), agent: null, offer: null });
  });

  it('forget no name because one message lacks it', () => {
    const row = { ...emptyRow('k', at(0)), sender: { id: 'u', name: 'Ann' } };
    const same = foldRow(row, commit(1, { type: 'customer_changed', channel: 'c', sender: { id: 'u' } }));
    const other = foldRow(row, commit(1, { type: 'customer_changed', channel: 'c', sender: { id: 'v' } }));
    expect([same.sender?.name, other.sender?.name]).toEqual(['Ann', undefined]);
  });
});

describe('lists', () => {
  const viewer = { user: 'ann', queues: ['q'] };
  const row = (fields: Partial<Row>): Row => ({ ...emptyRow('k', at(0)), ...fields });
  it('hold what belongs to them', () => {
    const lists = (one: Row) =>
      (['mine', 'queues', 'unassigned', 'bot', 'snoozed', 'closed'] as const).filter((list) =>
        belongs(one, list, viewer),
      );
    expect(lists(row({ phase: 'bot' }))).toEqual(['bot']);
    expect(lists(row({ phase: 'queued', queue: 'q' }))).toEqual(['queues', 'unassigned']);
    expect(lists(row({ phase: 'offered', queue: 'x', agent: 'ann' }))).toEqual(['mine', 'unassigned']);
    expect(lists(row({ phase: 'active', queue: 'x', agent: 'ann' }))).toEqual(['mine']);
    expect(lists(row({ phase: 'active', agent: 'ann', snoozed_until: at(9) }))).toEqual(['snoozed']);
    expect(lists(row({ phase: 'active', agent: 'bob', consult: 'ann' }))).toEqual(['mine']);
    expect(lists(row({ phase: 'closed' }))).toEqual(['closed']);
  });
  it('show offers first, and in a queue whoever has waited longest', () => {
    const rows = [
      row({ key: 'late', phase: 'queued', waits_since: at(9), at: at(20) }),
      row({ key: 'long', phase: 'queued', waits_since: at(1), at: at(10) }),
      row({ key: 'urgent', phase: 'queued', waits_since: at(8), priority: 5, at: at(5) }),
      row({ key: 'offer', phase: 'offered', waits_since: at(10), at: at(1) }),
    ];
    expect(ordered(rows, 'unassigned').map((one) => one.key)).toEqual(['urgent', 'long', 'late', 'offer']);
    expect(ordered(rows, 'mine')[0]?.key).toBe('offer');
    expect(ordered(rows, 'all')[0]?.key).toBe('late');
  });
});

describe('timelines', () => {
  it('show a recorded conversation', () => {
    const items = timelineOf(scenario);
    expect(items.map((item) => (item.kind === 'system' ? item.type : item.kind))).toMatchInlineSnapshot(`
      [
        "session_opened",
        "message",
        "message",
        "answer",
        "handoff_requested",
        "queued",
        "offer",
        "offer",
        "message",
        "tagged",
        "untagged",
        "note",
        "held",
        "resumed",
        "message",
        "wrap_up_started",
        "disposition_set",
        "session_closed",
        "satisfaction_requested",
        "satisfaction_rated",
      ]
    `);
    expect(lastQuestion(items)).toBe('I want my money back <script>alert(1)</script>');
  });
  it('put an edit, a receipt and the end of an offer where they belong', () => {
    const items = timelineOf([
      commit(1, {
        type: 'message_received',
        session: 1,
        message: { id: 'm', sent_at: at(1), content: { kind: 'text', text: 'a' } },
      }),
      commit(2, { type: 'message_edited', of: 'm', text: 'b', sent_at: at(2) }),
      commit(3, {
        type: 'message_sent',
        id: 'r',
        author: { kind: 'agent', id: 'ann' },
        content: { kind: 'text', text: 'c' },
      }),
      commit(4, { type: 'delivery_reported', of: 'r', state: 'read' }),
      commit(5, { type: 'offer_made', offer: 'o', agent: 'ann', deadline: at(60) }),
      commit(6, { type: 'offer_timed_out', offer: 'o', agent: 'ann' }),
    ]);
    expect(items).toMatchObject([
      { kind: 'message', before: ['a'], content: { text: 'b' } },
      { kind: 'message', delivery: { state: 'read' } },
      { kind: 'offer', outcome: 'timed_out' },
    ]);
  });
  it('pass over what is about something that is not loaded', () => {
    expect(timelineOf([commit(9, { type: 'delivery_reported', of: 'r', state: 'read' })])).toEqual([]);
    expect(timelineOf([commit(9, { type: 'offer_rejected', offer: 'o', agent: 'ann' })])).toMatchObject([
      { kind: 'offer', outcome: 'rejected' },
    ]);
  });
});

describe('actions', () => {
  const agent = (permission: string) => ['conversation.work', 'conversation.annotate'].includes(permission);
  const row = (fields: Partial<Row>): Row => ({ ...emptyRow('k', at(0)), ...fields });
  it('of an agent are about the own conversations', () => {
    expect(actionsFor(row({ phase: 'offered', agent: 'ann' }), 'ann', agent)).toEqual([
      'accept',
      'reject',
      'note',
    ]);
    expect(actionsFor(row({ phase: 'offered', agent: 'bob' }), 'ann', agent)).toEqual(['note']);
    expect(actionsFor(row({ phase: 'active', agent: 'ann' }), 'ann', agent)).toContain('reply');
    expect(actionsFor(row({ phase: 'active', agent: 'bob' }), 'ann', agent)).not.toContain('reply');
    expect(actionsFor(row({ phase: 'closed' }), 'ann', agent)).toEqual(['note']);
  });
  it('of a supervisor reach further', () => {
    const all = () => true;
    expect(actionsFor(row({ phase: 'active', agent: 'bob' }), 'sue', all)).toEqual([
      'take_over',
      'join',
      'reassign',
      'note',
    ]);
  });
});

describe('macros', () => {
  it('are filled with what is known, and show what is not', () => {
    const text = fillMacro('Hello {customer.name}, order {collected.order}? {{agent.name}}', {
      'customer.name': '王芳',
      'agent.name': 'Ann',
    });
    expect(text).toBe('Hello 王芳, order {collected.order}? Ann');
    expect(firstGap(text)).toEqual([16, 33]);
    expect(firstGap('plain')).toBeNull();
  });
});

it('whoever was faster is named', () => {
  const changed = [
    commit(1, { type: 'offer_made', agent: 'ann' }),
    commit(2, { type: 'taken_over', agent: 'sue' }, { type: 'message_sent' }),
  ];
  expect([takenBy(changed), takenBy([commit(3, { type: 'noted' })])]).toEqual(['sue', undefined]);
});

it('a command is sent again after a receipt, and not after a message', () => {
  expect(isHarmless([commit(1, { type: 'delivery_reported' }), commit(2, { type: 'noted' })])).toBe(true);
  expect(
    isHarmless([commit(1, { type: 'delivery_reported' }), commit(2, { type: 'message_received' })]),
  ).toBe(false);
});

it('skills are read as people write them', () => {
  expect(readSkills('billing=3, vip：5，returns')).toEqual({ billing: 3, vip: 5, returns: 5 });
  expect(readSkills(' ')).toEqual({});
});

describe('differences', () => {
  it('are found line by line, and put together again', () => {
    const before = 'a\nb\nc\nd';
    const after = 'a\nc\nx\nd\ne';
    const lines = diff(before, after);
    expect(lines.filter((line) => line.kind !== 'added').map((line) => line.text)).toEqual(
      before.split('\n'),
    );
    expect(lines.filter((line) => line.kind !== 'removed').map((line) => line.text)).toEqual(
      after.split('\n'),
    );
    expect(lines.filter((line) => line.kind === 'same')).toHaveLength(3);
  });
  it('do not come from the order of names', () => {
    expect(pretty({ b: 1, a: { d: 1, c: 2 } })).toBe(pretty({ a: { c: 2, d: 1 }, b: 1 }));
  });
});
