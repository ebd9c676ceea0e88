// Folds commits into the rows of the inbox: what `ConversationSummary` says on the server, computed from the log.

import type {
  Commit,
  Content,
  ConversationEvents,
  ConversationEventType,
  ConversationSummary,
  Phase,
  Preview,
} from '../api/types';

export type Row = ConversationSummary;
type Handler<T extends ConversationEventType> = (
  row: Row,
  event: ConversationEvents[T],
  commit: Commit,
) => Row;

/** Characters of a message that a row shows. */
const PREVIEW_CHARS = 80;

export function contentText(content: Content): string {
  switch (content.kind) {
    case 'text':
    case 'edit':
      return content.text;
    case 'image':
    case 'file':
      return content.name;
    case 'card':
      return content.title;
    case 'event':
      return content.name;
    default:
      return '';
  }
}

const SHOWN = ['text', 'image', 'file', 'card'];

function preview(row: Row, content: Content, at: string, by?: Preview['by']): Preview | null | undefined {
  if (!SHOWN.includes(content.kind)) return row.preview;
  // By characters as people count them: half of a pair is none.
  const text = [...contentText(content).trim()].slice(0, PREVIEW_CHARS).join('');
  return by ? { text, by, at } : { text, at };
}

/** What belongs to one phase only goes when the phase does. */
function to(row: Row, phase: Phase, with_: Partial<Row> = {}): Row {
  const waits = phase === 'queued' || phase === 'offered';
  return {
    ...row,
    phase,
    agent: null,
    offer: null,
    held: false,
    consult: null,
    snoozed_until: null,
    wrap_up_until: null,
    waits_since: waits ? row.waits_since : null,
    waits_for: waits ? row.waits_for : null,
    abandon_at: waits ? row.abandon_at : null,
    ...with_,
  };
}

const same = (row: Row): Row => row;
const backToQueue = (row: Row): Row => (row.phase === 'offered' ? to(row, 'queued') : row);

const handlers: { [T in ConversationEventType]: Handler<T> } = {
  session_opened: (row, event, commit) => ({
    ...to(row, 'bot'),
    channel: event.channel,
    thread: event.thread,
    sender: known(row, event.sender),
    session: event.session,
    queue: null,
    priority: null,
    collected: {},
    disposition: null,
    opened_at: commit.at,
  }),
  customer_changed: (row, event) => ({ ...row, sender: known(row, event.sender) }),
  message_received: (row, event, commit) => {
    const { content, metadata } = event.message;
    const language = typeof metadata?.language === 'string' ? metadata.language : undefined;
    return {
      ...row,
      preview: preview(row, content, commit.at),
      language: row.collected?.language ?? language ?? row.language,
    };
  },
  message_edited: same,
  message_sent: (row, event, commit) => ({
    ...row,
    preview: preview(row, event.content, commit.at, event.author.kind),
  }),
  delivery_reported: same,
  information_requested: same,
  information_collected: (row, { field, value }) => {
    if (value === undefined || value === null) return row;
    const collected = { ...row.collected, [field]: value };
    return { ...row, collected, language: collected.language ?? row.language };
  },
  answer_requested: same,
  choices_offered: same,
  answer_given: same,
  answer_declined: same,
  answer_rated: same,
  handoff_requested: same,
  queued: (row, event, commit) =>
    to(row, 'queued', {
      queue: event.queue,
      priority: event.priority,
      // After a rejected transfer it is queued again, and has waited since the first time.
      waits_since: row.phase === 'queued' ? row.waits_since : commit.at,
      waits_for: event.agent ?? null,
      abandon_at: event.abandon_at ?? null,
    }),
  callback_due: same,
  offer_made: (row, event, commit) =>
    to(row, 'offered', {
      agent: event.agent,
      waits_since: row.waits_since ?? commit.at,
      offer: { id: event.offer, agent: event.agent, deadline: event.deadline },
    }),
  offer_accepted: (row, event) => to(row, 'active', { agent: event.agent }),
  offer_rejected: backToQueue,
  offer_timed_out: backToQueue,
  offer_rescinded: backToQueue,
  position_told: same,
  offer_refused: same,
  reservation_checked: same,
  held: (row) => ({ ...row, held: true }),
  resumed: (row) => ({ ...row, held: false }),
  transferred: same,
  returned_to_bot: (row) => to(row, 'bot'),
  consult_started: (row, event) => ({ ...row, consult: event.with }),
  taken_over: (row, event) => to(row, 'active', { agent: event.agent }),
  consult_ended: (row) => ({ ...row, consult: null }),
  noted: same,
  tagged: (row, event) => ({ ...row, tags: [...(row.tags ?? []), ...event.tags] }),
  untagged: (row, event) => ({ ...row, tags: (row.tags ?? []).filter((tag) => !event.tags.includes(tag)) }),
  snoozed: (row, event) => ({ ...row, snoozed_until: event.until }),
  unsnoozed: (row) => ({ ...row, snoozed_until: null }),
  customer_awaited: same,
  inactivity_prompted: same,
  customer_left: same,
  wrap_up_started: (row, event) => to(row, 'wrap_up', { agent: event.agent, wrap_up_until: event.deadline }),
  reactivated: (row, event) => to(row, 'active', { agent: event.agent }),
  disposition_set: (row, event) => (row.phase === 'closed' ? row : { ...row, disposition: event.code }),
  session_closed: (row) =>
    to(row, 'closed', { priority: null, collected: {}, disposition: null, opened_at: null }),
  satisfaction_requested: same,
  satisfaction_rated: same,
  command_refused: same,
  quarantined: (row) => ({ ...row, quarantined: true }),
  quarantine_lifted: (row) => ({ ...row, quarantined: false }),
};

/** Types of events that rows know what to do with. */
export const ROW_EVENTS = Object.keys(handlers);

function known(row: Row, sender: Row['sender']): Row['sender'] {
  // A name is not forgotten because one message lacks it.
  if (!sender || sender.name || row.sender?.id !== sender.id) return sender;
  return row.sender;
}

export function emptyRow(key: string, at: string): Row {
  return { key, channel: '', thread: '', phase: 'bot', session: 0, at, version: 0, tags: [], collected: {} };
}

export function foldRow(row: Row, commit: Commit): Row {
  let folded = row;
  for (const event of commit.events) {
    const handler = handlers[event.type as ConversationEventType] as
      | Handler<ConversationEventType>
      | undefined;
    if (handler) folded = handler(folded, event as never, commit);
  }
  return { ...folded, at: commit.at, version: commit.version };
}

export type Taken = { outcome: 'folded'; row: Row } | { outcome: 'dropped' } | { outcome: 'missing' };

/**
 * Takes a commit into the row of its conversation. One that the row has already is dropped; where others lie between, or
 * the row is not known, it has to be fetched.
 */
export function take(row: Row | undefined, commit: Commit): Taken {
  const version = row?.version ?? 0;
  if (commit.version <= version) return { outcome: 'dropped' };
  if (commit.version !== version + 1) return { outcome: 'missing' };
  return { outcome: 'folded', row: foldRow(row ?? emptyRow(commit.key, commit.at), commit) };
}
