// Routing rules as the form has them, and as the document does.

import { conditionOf } from './conditions';

export interface Target {
  queue?: string | null;
  priority?: number | null;
  required?: Record<string, number>;
  wished?: string[];
  tags?: string[];
  collect?: string[];
}

/** A rule, as the document has it. */
export interface Rule {
  name: string;
  when: string;
  then: Target;
  go_on?: boolean;
}

/** A rule, as it is being edited. */
export interface Draft extends Rule {
  /** Stays the same while it is moved and renamed. */
  id: number;
  /** Off: kept, and never holds. */
  on: boolean;
}

// The document knows no switch: what is off is a condition that cannot hold, which every reader of it understands.
const [OFF, END] = ['false && (', ')'];

export function draftOf(rule: Rule, id: number): Draft {
  const isOff = rule.when.startsWith(OFF) && rule.when.endsWith(END) && isWhole(rule.when);
  const when = isOff ? rule.when.slice(OFF.length, -END.length) : rule.when;
  return { ...rule, id, on: !isOff, when };
}

/** Whether the bracket that is opened first is the one that is closed last. */
function isWhole(when: string): boolean {
  let [depth, quote] = [0, ''];
  for (let at = OFF.length - 1; at < when.length; at += 1) {
    const letter = when[at]!;
    if (quote) {
      if (letter === '\\') at += 1;
      else if (letter === quote) quote = '';
    } else if (letter === "'" || letter === '"') quote = letter;
    else if (letter === '(') depth += 1;
    else if (letter === ')') depth -= 1;
    if (depth === 0) return at === when.length - 1;
  }
  return false;
}

/** Without what says nothing, so that a rule that was not changed is as it was. */
function targetOf(then: Target): Target {
  const isEmpty = (value: unknown) =>
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value as object).length === 0);
  return Object.fromEntries(Object.entries(then).filter(([, value]) => !isEmpty(value)));
}

export function ruleOf({ name, when, then, go_on, on }: Draft): Rule {
  const condition = on ? when : `${OFF}${when}${END}`;
  return { name: name.trim(), when: condition, then: targetOf(then), ...(go_on && { go_on }) };
}

export const documentOf = (drafts: Draft[]) => ({ rules: drafts.map(ruleOf) });

/** The same with the rule at one place moved to another; where there is no such place, as it was. */
export function moved<T>(list: T[], from: number, to: number): T[] {
  if (to < 0 || to >= list.length) return list;
  const without = list.filter((_, at) => at !== from);
  return [...without.slice(0, to), list[from]!, ...without.slice(to)];
}

/** Where the server says that something is wrong. */
export interface Wrong {
  /** The rule, from 0; absent: it is not one rule's. */
  rule?: number;
  field?: string;
  message: string;
}

const PLACE = /^rules\[(\d+)\](?:\.([\w.]+))?(?: \(rule "(?:[^"\\]|\\.)*"\))?[,:] /;

/** Reads `rules[2].when (rule "x"), line 1, column 3: …`; columns are those of what the form shows. */
export function wrongOf(message: string, drafts: Draft[]): Wrong {
  const found = PLACE.exec(message);
  if (!found) return { message };
  const rule = Number(found[1]);
  const field = found[2]?.replace(/^then\./, '').split('.')[0];
  const shift = drafts[rule]?.on === false ? OFF.length : 0;
  const rest = message
    .slice(found[0].length)
    .replace(/^line 1, column (\d+)/, (_, column: string) => `line 1, column ${Number(column) - shift}`);
  return { rule, ...(field && { field }), message: rest };
}

export type Warning =
  | { kind: 'queue'; name: string }
  | { kind: 'field'; name: string }
  | { kind: 'unread'; name: string }
  | { kind: 'nothing' };

/** What may be set and is hardly meant: names that the tenant has not, rules that are never read, rules that say nothing. */
export function warningsOf(drafts: Draft[], at: number, queues: string[], fields: string[]): Warning[] {
  const draft = drafts[at]!;
  const found: Warning[] = [];
  const { queue, collect = [] } = draft.then;
  if (queue && queues.length > 0 && !queues.includes(queue)) found.push({ kind: 'queue', name: queue });
  for (const name of collect.filter((field) => !fields.includes(field))) found.push({ kind: 'field', name });
  const last = drafts
    .slice(0, at)
    .find((one) => one.on && !one.go_on && conditionOf(one.when)?.clauses.length === 0);
  if (last) found.push({ kind: 'unread', name: last.name });
  if (Object.keys(targetOf(draft.then)).length === 0) found.push({ kind: 'nothing' });
  return found;
}

/** A name that no rule has yet. */
export function freeName(drafts: Draft[], name: string): string {
  const names = new Set(drafts.map((draft) => draft.name));
  for (let n = 1; ; n += 1) {
    const one = n === 1 ? name : `${name} ${n}`;
    if (!names.has(one)) return one;
  }
}
