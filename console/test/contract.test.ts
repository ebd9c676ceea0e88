import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Commit } from '../src/api/types';
import { en } from '../src/i18n/en';
import { emptyRow, foldRow, ROW_EVENTS } from '../src/model/fold';
import { foldTimeline, TIMELINE_EVENTS, timelineOf } from '../src/model/timeline';

const schemas = join(import.meta.dirname, '../../schemas');
const corpus = join(schemas, 'corpus/conversation');

/** The types that a schema's alternatives name. */
function eventTypes(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(eventTypes);
  if (typeof node !== 'object' || node === null) return [];
  const object = node as Record<string, unknown>;
  const properties = object.properties as Record<string, { const?: string }> | undefined;
  const own = properties?.type?.const ? [properties.type.const] : [];
  return [...own, ...Object.values(object).flatMap(eventTypes)];
}

describe('the contract', () => {
  const types = [
    ...new Set(eventTypes(JSON.parse(readFileSync(join(schemas, 'commit-conversation.json'), 'utf8')))),
  ];

  it('has types of events', () => {
    expect(types).toContain('message_received');
    expect(types.length).toBeGreaterThan(40);
  });
  it('has no type of event that the folds do not know', () => {
    expect(types.filter((type) => !ROW_EVENTS.includes(type))).toEqual([]);
    expect(types.filter((type) => !TIMELINE_EVENTS.includes(type))).toEqual([]);
  });
  it('has every type that the folds know', () => {
    expect(ROW_EVENTS.filter((type) => !types.includes(type))).toEqual([]);
    expect(TIMELINE_EVENTS.filter((type) => !types.includes(type))).toEqual([]);
  });
});

describe('every recorded commit', () => {
  for (const name of readdirSync(corpus)) {
    const commit = JSON.parse(readFileSync(join(corpus, name), 'utf8')) as Commit;
    it(`${name} folds into a row and into a timeline`, () => {
      const row = foldRow({ ...emptyRow(commit.key, commit.at), sender: { id: 'x' } }, commit);
      expect(row.version).toBe(commit.version);
      expect(row.key).toBe(commit.key);
      const items = timelineOf([commit]);
      expect(new Set(items.map((item) => item.id)).size).toBe(items.length);
      for (const item of items) {
        expect(item.at).toMatch(/^\d{4}-/);
        if (item.kind === 'system') expect(Object.keys(en)).toContain(`event.${item.type}`);
      }
    });
  }
});

it('an event of a newer server is shown by its name', () => {
  const commit = JSON.parse(readFileSync(join(corpus, 'held.v1.json'), 'utf8')) as Commit;
  commit.events = [{ type: 'teleported', v: 1, to: 'moon' }];
  expect(foldTimeline([], commit)).toMatchObject([{ kind: 'system', type: 'teleported' }]);
});
