// Conditions of routing rules: clauses that a form can have, written as CEL, and read back. What somebody wrote in another way is
// left as it is: only what would be written in the same way again is taken for clauses.

/** What a clause asks about, in the order in which it is offered. */
export const SUBJECTS = [
  'text',
  'channel',
  'language',
  'tags',
  'collected',
  'metadata',
  'sender.id',
  'returning',
  'wants_person',
  'session',
  'open',
  'hour',
  'weekday',
] as const;
export type Subject = (typeof SUBJECTS)[number];

/** How it asks. `in` and `contains` have several values, of which one is enough. */
export type Test =
  | 'is'
  | 'isNot'
  | 'in'
  | 'startsWith'
  | 'contains'
  | 'matches'
  | 'yes'
  | 'no'
  | 'least'
  | 'between';

const TEXT_TESTS: Test[] = ['is', 'isNot', 'in', 'startsWith'];
const FIELD_TESTS: Test[] = ['is', 'yes', 'no'];
export const TESTS: Record<Subject, Test[]> = {
  text: ['contains', 'matches'],
  channel: TEXT_TESTS,
  language: ['startsWith', 'is', 'isNot', 'in'],
  tags: ['yes', 'no'],
  collected: FIELD_TESTS,
  metadata: FIELD_TESTS,
  'sender.id': TEXT_TESTS,
  returning: ['yes', 'no'],
  wants_person: ['yes', 'no'],
  session: ['is', 'least'],
  open: ['yes', 'no'],
  hour: ['between'],
  weekday: ['in'],
};

export interface Clause {
  subject: Subject;
  test: Test;
  /** Of `collected` and `metadata`: which field. */
  field?: string;
  values: string[];
}

export interface Condition {
  /** Whether all clauses must hold, or one is enough. */
  all: boolean;
  clauses: Clause[];
}

export const HAS_FIELD: Subject[] = ['collected', 'metadata'];
export const IS_FLAG: Subject[] = ['returning', 'wants_person', 'open'];

/** Whether a clause has values at all. */
export const hasValues = ({ subject, test }: Clause): boolean =>
  subject === 'tags' || !(test === 'yes' || test === 'no');

/** Whether it may have several of them. */
export const hasMany = ({ test }: Clause): boolean => test === 'in' || test === 'contains';

export function newClause(subject: Subject): Clause {
  const test = TESTS[subject][0]!;
  const values = test === 'between' ? ['9', '17'] : subject === 'weekday' ? ['6', '7'] : [];
  return { subject, test, values, ...(HAS_FIELD.includes(subject) && { field: '' }) };
}

/** Its values without the empty lines between them. */
const givenOf = (clause: Clause): string[] =>
  hasMany(clause) ? clause.values.filter((value) => value !== '') : clause.values;

/** Whether everything is there that it needs. */
export function isComplete(clause: Clause): boolean {
  if (HAS_FIELD.includes(clause.subject) && !/^[A-Za-z_]\w*$/.test(clause.field ?? '')) return false;
  if (!hasValues(clause)) return true;
  const { subject, test } = clause;
  const values = givenOf(clause);
  if (values.length === 0 || values.some((value) => value === '')) return false;
  const isNumber = subject === 'session' || subject === 'hour' || subject === 'weekday';
  if (isNumber && values.some((value) => !/^\d{1,6}$/.test(value))) return false;
  return test !== 'between' || values.length === 2;
}

const quoted = (text: string) =>
  `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'").replace(/\n/g, '\\n')}'`;

/** ASCII letters only, as the engine's `lowerAscii` does. */
const lowered = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function clauseText(clause: Clause): string {
  const { subject, test, field } = clause;
  const values = givenOf(clause);
  const [first = '', second = ''] = values;
  const many = values.map(quoted).join(', ');
  if (IS_FLAG.includes(subject)) return test === 'no' ? `!${subject}` : subject;
  if (subject === 'tags') return test === 'no' ? `!(${quoted(first)} in tags)` : `${quoted(first)} in tags`;
  if (subject === 'hour') {
    const joined = Number(first) < Number(second) ? '&&' : '||';
    return `(hour >= ${first} ${joined} hour < ${second})`;
  }
  if (subject === 'weekday') return `weekday in [${values.join(', ')}]`;
  if (subject === 'session') return `session ${test === 'least' ? '>=' : '=='} ${first}`;
  if (HAS_FIELD.includes(subject)) {
    const name = `${subject}.${field}`;
    if (test === 'yes') return `has(${name})`;
    return test === 'no' ? `!has(${name})` : `(has(${name}) && ${name} == ${quoted(first)})`;
  }
  if (test === 'contains') {
    const each = values.map((value) => `text.lowerAscii().contains(${quoted(lowered(value))})`);
    return each.length === 1 ? each[0]! : `(${each.join(' || ')})`;
  }
  if (test === 'matches' || test === 'startsWith') return `${subject}.${test}(${quoted(first)})`;
  if (test === 'in') return `${subject} in [${many}]`;
  return `${subject} ${test === 'isNot' ? '!=' : '=='} ${quoted(first)}`;
}

/** As CEL. Without clauses it always holds. */
export function celOf({ all, clauses }: Condition): string {
  if (clauses.length === 0) return 'true';
  return clauses.map(clauseText).join(all ? ' && ' : ' || ');
}

/** The pieces between the signs of one kind that stand in no bracket and no text; `null`: signs of both kinds do. */
function pieces(cel: string): { all: boolean; parts: string[] } | null {
  const parts: string[] = [];
  let [depth, start, sign] = [0, 0, ''];
  for (let at = 0; at < cel.length; at += 1) {
    const letter = cel[at]!;
    if (letter === "'") {
      for (at += 1; at < cel.length && cel[at] !== "'"; at += 1) if (cel[at] === '\\') at += 1;
    } else if ('([{'.includes(letter)) depth += 1;
    else if (')]}'.includes(letter)) depth -= 1;
    const two = cel.slice(at, at + 4);
    if (depth === 0 && (two === ' && ' || two === ' || ')) {
      if (sign !== '' && sign !== two) return null;
      sign = two;
      parts.push(cel.slice(start, at));
      start = at + 4;
      at += 3;
    }
  }
  return { all: sign !== ' || ', parts: [...parts, cel.slice(start)] };
}

const TEXT = "'((?:[^'\\\\]|\\\\.)*)'";
const unquoted = (text: string) =>
  text.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
const texts = (list: string) => [...list.matchAll(new RegExp(TEXT, 'g'))].map((found) => unquoted(found[1]!));

/** How each clause may look, and what it then is. */
const SHAPES: [RegExp, (found: string[]) => Clause][] = [
  [/^(!?)(returning|wants_person|open)$/, ([no, flag]) => flagOf(flag!, no!)],
  [new RegExp(`^${TEXT} in tags$`), ([tag]) => ({ subject: 'tags', test: 'yes', values: [unquoted(tag!)] })],
  [
    new RegExp(`^!\\(${TEXT} in tags\\)$`),
    ([tag]) => ({ subject: 'tags', test: 'no', values: [unquoted(tag!)] }),
  ],
  [
    /^\(hour >= (\d+) (?:&&|\|\|) hour < (\d+)\)$/,
    ([from, to]) => ({ subject: 'hour', test: 'between', values: [from!, to!] }),
  ],
  [/^weekday in \[([\d, ]+)\]$/, ([days]) => ({ subject: 'weekday', test: 'in', values: days!.split(', ') })],
  [
    /^session (>=|==) (\d+)$/,
    ([sign, n]) => ({ subject: 'session', test: sign === '>=' ? 'least' : 'is', values: [n!] }),
  ],
  [/^(!?)has\((collected|metadata)\.(\w+)\)$/, ([no, of, field]) => fieldOf(of!, no ? 'no' : 'yes', field!)],
  [
    new RegExp(`^\\(has\\((collected|metadata)\\.(\\w+)\\) && \\1\\.\\2 == ${TEXT}\\)$`),
    ([of, field, value]) => fieldOf(of!, 'is', field!, unquoted(value!)),
  ],
  [
    /^(\(?text\.lowerAscii\(\)\.contains\(.*)$/,
    ([all]) => ({ subject: 'text', test: 'contains', values: texts(all!) }),
  ],
  [
    new RegExp(`^(text|channel|language|sender\\.id)\\.(matches|startsWith)\\(${TEXT}\\)$`),
    ([of, test, value]) => ({ subject: of as Subject, test: test as Test, values: [unquoted(value!)] }),
  ],
  [
    /^(channel|language|sender\.id) in \[(.*)\]$/,
    ([of, list]) => ({ subject: of as Subject, test: 'in', values: texts(list!) }),
  ],
  [
    new RegExp(`^(channel|language|sender\\.id) (==|!=) ${TEXT}$`),
    ([of, sign, value]) => ({
      subject: of as Subject,
      test: sign === '==' ? 'is' : 'isNot',
      values: [unquoted(value!)],
    }),
  ],
];

function flagOf(subject: string, no: string): Clause {
  return { subject: subject as Subject, test: no ? 'no' : 'yes', values: [] };
}

function fieldOf(subject: string, test: Test, field: string, ...values: string[]): Clause {
  return { subject: subject as Subject, test, field, values };
}

function clauseOf(cel: string): Clause | null {
  for (const [shape, read] of SHAPES) {
    const found = shape.exec(cel);
    if (!found) continue;
    const clause = read(found.slice(1).map((part) => part ?? ''));
    const isKnown = TESTS[clause.subject].includes(clause.test) && isComplete(clause);
    if (isKnown && clauseText(clause) === cel) return clause;
  }
  return null;
}

/** The clauses that an expression is made of; `null` where it is more than that. */
export function conditionOf(cel: string): Condition | null {
  const text = cel.trim();
  if (text === 'true') return { all: true, clauses: [] };
  const found = pieces(text);
  const clauses = found?.parts.map(clauseOf) ?? [null];
  return found && clauses.every((clause) => clause !== null) ? { all: found.all, clauses } : null;
}
