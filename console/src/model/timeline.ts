// Folds a conversation's commits into what its page shows, the earliest first: messages, notes, what the bot asked and
// answered, offers, and lines about everything else.

import type {
  Actor,
  AnswerChoice,
  AnswerSource,
  AnyEvent,
  Author,
  Commit,
  Content,
  ConversationEvents,
  ConversationEventType,
  Decision,
  DeliveryState,
} from '../api/types';

interface Base {
  /** Stable while the timeline grows, so that the page keeps its place. */
  id: string;
  at: string;
}

export interface MessageItem extends Base {
  kind: 'message';
  message: string;
  from: 'customer' | Author['kind'];
  author?: string;
  name?: string;
  content: Content;
  late: boolean;
  replyTo?: string;
  /** What it said before it was changed, the earliest first. */
  before: string[];
  delivery?: { state: DeliveryState; detail?: string };
}

export interface NoteItem extends Base {
  kind: 'note';
  by: string;
  text: string;
}

export interface AnswerItem extends Base {
  kind: 'answer';
  request: string;
  question: string;
  outcome: 'asked' | 'answered' | 'choices' | 'declined';
  confidence?: number;
  reason?: string;
  sources: AnswerSource[];
  choices: AnswerChoice[];
  helpful?: boolean;
}

export interface OfferItem extends Base {
  kind: 'offer';
  offer: string;
  agent: string;
  deadline: string;
  outcome: 'open' | 'accepted' | 'rejected' | 'timed_out' | 'rescinded';
  reason?: string;
  decision?: Decision;
}

/** Anything else: a line whose words are in the dictionary under the type's name. */
export interface SystemItem extends Base {
  kind: 'system';
  type: string;
  event: AnyEvent;
  actor: Actor;
}

export type Item = MessageItem | NoteItem | AnswerItem | OfferItem | SystemItem;

interface Context {
  commit: Commit;
  id: string;
}
type Handler<T extends ConversationEventType> = (
  items: Item[],
  event: ConversationEvents[T],
  at: Context,
) => Item[];

function replace<I extends Item>(
  items: Item[],
  is: (item: Item) => item is I,
  with_: (item: I) => I,
): Item[] {
  const index = items.findLastIndex(is);
  if (index < 0) return items;
  return items.with(index, with_(items[index] as I));
}

const isMessage =
  (id: string) =>
  (item: Item): item is MessageItem =>
    item.kind === 'message' && item.message === id;
const isAnswer =
  (id: string) =>
  (item: Item): item is AnswerItem =>
    item.kind === 'answer' && item.request === id;
const isOffer =
  (id: string) =>
  (item: Item): item is OfferItem =>
    item.kind === 'offer' && item.offer === id;

/** A line of its own. */
function line(items: Item[], event: unknown, { commit, id }: Context): Item[] {
  const said = event as AnyEvent;
  return [...items, { kind: 'system', id, at: commit.at, type: said.type, event: said, actor: commit.actor }];
}

/** Nothing that anybody needs to read. */
const silent = (items: Item[]): Item[] => items;

function ended(outcome: OfferItem['outcome']) {
  return (
    items: Item[],
    event: { offer: string; agent: string; reason?: string },
    { commit, id }: Context,
  ): Item[] => {
    if (items.some(isOffer(event.offer))) {
      return replace(items, isOffer(event.offer), (offer) => ({ ...offer, outcome, reason: event.reason }));
    }
    const { offer, agent, reason } = event;
    return [
      ...items,
      { kind: 'offer', id, at: commit.at, offer, agent, deadline: commit.at, outcome, reason },
    ];
  };
}

const handlers: { [T in ConversationEventType]: Handler<T> } = {
  session_opened: line,
  customer_changed: line,
  message_received: (items, event, { id }) => {
    const { message, late } = event;
    const item: MessageItem = {
      kind: 'message',
      id,
      at: message.sent_at,
      message: message.id,
      from: 'customer',
      content: message.content,
      late: late === true,
      before: [],
    };
    return [...items, item];
  },
  message_edited: (items, event) =>
    replace(items, isMessage(event.of), (item) => ({
      ...item,
      before: [...item.before, item.content.kind === 'text' ? item.content.text : ''],
      content: { kind: 'text', text: event.text },
    })),
  message_sent: (items, event, { commit, id }) => {
    const { author } = event;
    const item: MessageItem = {
      kind: 'message',
      id,
      at: commit.at,
      message: event.id,
      from: author.kind,
      author: author.id ?? undefined,
      name: author.name ?? undefined,
      content: event.content,
      late: false,
      replyTo: event.reply_to,
      before: [],
    };
    return [...items, item];
  },
  delivery_reported: (items, event) =>
    replace(items, isMessage(event.of), (item) => ({
      ...item,
      delivery: { state: event.state, detail: event.detail },
    })),
  information_requested: line,
  information_collected: line,
  answer_requested: (items, event, { commit, id }) => [
    ...items,
    {
      kind: 'answer',
      id,
      at: commit.at,
      request: event.request,
      question: event.question,
      outcome: 'asked',
      sources: [],
      choices: [],
    },
  ],
  choices_offered: (items, event) =>
    replace(items, isAnswer(event.request), (item) => ({
      ...item,
      outcome: 'choices',
      confidence: event.confidence,
      choices: event.choices,
    })),
  answer_given: (items, event) =>
    replace(items, isAnswer(event.request), (item) => ({
      ...item,
      outcome: 'answered',
      confidence: event.confidence,
      sources: event.sources ?? [],
    })),
  answer_declined: (items, event) =>
    replace(items, isAnswer(event.request), (item) => ({
      ...item,
      outcome: 'declined',
      confidence: event.confidence,
      reason: event.reason,
    })),
  answer_rated: (items, event) =>
    replace(items, isAnswer(event.request), (item) => ({ ...item, helpful: event.helpful })),
  handoff_requested: line,
  queued: line,
  callback_due: line,
  offer_made: (items, event, { commit, id }) => [
    ...items,
    {
      kind: 'offer',
      id,
      at: commit.at,
      offer: event.offer,
      agent: event.agent,
      deadline: event.deadline,
      outcome: 'open',
      decision: event.decision,
    },
  ],
  offer_accepted: ended('accepted'),
  offer_rejected: ended('rejected'),
  offer_timed_out: ended('timed_out'),
  offer_rescinded: ended('rescinded'),
  position_told: silent,
  offer_refused: silent,
  reservation_checked: silent,
  held: line,
  resumed: line,
  transferred: line,
  returned_to_bot: line,
  consult_started: line,
  consult_ended: line,
  taken_over: line,
  noted: (items, event, { commit, id }) => [
    ...items,
    { kind: 'note', id, at: commit.at, by: event.by, text: event.text },
  ],
  tagged: line,
  untagged: line,
  snoozed: line,
  unsnoozed: line,
  customer_awaited: silent,
  inactivity_prompted: line,
  customer_left: line,
  wrap_up_started: line,
  reactivated: line,
  disposition_set: line,
  session_closed: line,
  satisfaction_requested: line,
  satisfaction_rated: line,
  // What was refused has changed nothing: whoever asked was told.
  command_refused: silent,
  quarantined: line,
  quarantine_lifted: line,
};

/** Types of events that the timeline knows what to do with. */
export const TIMELINE_EVENTS = Object.keys(handlers);

export function foldTimeline(items: Item[], commit: Commit): Item[] {
  let folded = items;
  commit.events.forEach((event, index) => {
    const at = { commit, id: `${commit.version}.${index}` };
    const handler = handlers[event.type as ConversationEventType] as
      | Handler<ConversationEventType>
      | undefined;
    // An event of a newer server is shown by its name: nothing that happened is hidden.
    folded = handler ? handler(folded, event as never, at) : line(folded, event, at);
  });
  return folded;
}

export function timelineOf(commits: Commit[]): Item[] {
  return commits.reduce(foldTimeline, []);
}

/** Messages of one author so close together are shown under one name. */
const TOGETHER_MS = 180_000;

/** Whether a message goes on where the item before it stopped: the same author, a moment later. */
export function follows(item: Item, before: Item | undefined): boolean {
  return (
    item.kind === 'message' &&
    before?.kind === 'message' &&
    item.from === before.from &&
    item.author === before.author &&
    Math.abs(Date.parse(item.at) - Date.parse(before.at)) < TOGETHER_MS
  );
}

/** What the customer said last: what an answer is looked for. */
export function lastQuestion(items: Item[]): string {
  const is = (item: Item): item is MessageItem => item.kind === 'message' && item.from === 'customer';
  const last = items.findLast((item) => is(item) && item.content.kind === 'text');
  return last && is(last) && last.content.kind === 'text' ? last.content.text : '';
}
