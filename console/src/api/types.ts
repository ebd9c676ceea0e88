// What travels between the console and the server, mirrored by hand from `events/` and `schemas/`.
// `test/contract.test.ts` fails when a type of event is added there and is not known here.

export type Timestamp = string;

export type AggregateKind = 'conversation' | 'contact' | 'agent' | 'faq' | 'settings';
export type Phase = 'bot' | 'queued' | 'offered' | 'active' | 'wrap_up' | 'closed';
export type RoutingStatus = 'available' | 'away' | 'transfers_only' | 'offline';
export type DeliveryState = 'sent' | 'delivered' | 'read' | 'failed';
export type Fields = Record<string, unknown>;

export interface Actor {
  kind: 'customer' | 'agent' | 'timer' | 'bot' | 'scheduler' | 'system';
  id: string;
}

export interface FileRef {
  object: string;
  name: string;
  mime: string;
  size: number;
}

export type Content =
  | { kind: 'text'; text: string }
  | ({ kind: 'image' } & FileRef)
  | ({ kind: 'file' } & FileRef)
  | { kind: 'card'; title: string; fields?: Fields }
  | { kind: 'event'; name: string; fields?: Fields }
  | { kind: 'edit'; of: string; text: string }
  | { kind: 'receipt'; of: string; state: DeliveryState; detail?: string }
  | { kind: 'left' };

export interface Author {
  kind: 'bot' | 'agent' | 'system';
  id?: string | null;
  name?: string | null;
}

export interface Sender {
  id: string;
  name?: string | null;
}

export type Target = { agent: string } | { queue: string };

export interface AnswerSource {
  entry: string;
  entry_version?: number | null;
  score?: number | null;
}

export interface AnswerChoice {
  entry: string;
  question: string;
}

export interface Decision {
  agent: string;
  at_ms: number;
  policy: string;
  propensity: number;
  named: boolean;
  candidates: { agent: string; conversation: string; score: number; parts: Record<string, number> }[];
  excluded: Record<string, number>;
}

export interface Refusal {
  code: string;
  message: string;
}

/** Everything that can have happened to a conversation: its fields by type. */
export interface ConversationEvents {
  session_opened: { session: number; channel: string; thread: string; sender: Sender };
  customer_changed: { channel: string; sender: Sender; metadata?: Fields };
  message_received: {
    session: number;
    message: { id: string; sent_at: Timestamp; content: Content; metadata?: Fields };
    late?: boolean;
  };
  message_edited: { of: string; text: string; sent_at: Timestamp };
  message_sent: { session: number; id: string; author: Author; content: Content; reply_to?: string };
  delivery_reported: { of: string; state: DeliveryState; detail?: string };
  information_requested: { field: string; attempt: number };
  information_collected: { field: string; value?: string };
  answer_requested: { request: string; question: string; message: string; deadline: Timestamp };
  choices_offered: { request: string; confidence: number; choices: AnswerChoice[] };
  answer_given: { request: string; confidence: number; sources?: AnswerSource[] };
  answer_declined: { request: string; reason: string; confidence?: number };
  answer_rated: { request: string; helpful: boolean; entries?: string[] };
  handoff_requested: { reason: string; queue?: string; note?: string };
  queued: {
    queue: string;
    priority: number;
    agent?: string;
    abandon_at?: Timestamp;
    rules?: string[];
    required?: Record<string, number>;
    wished?: string[];
    rule_errors?: { rule: string; error: string }[];
    not_before?: Timestamp;
  };
  callback_due: Fields;
  offer_made: {
    offer: string;
    agent: string;
    reservation?: string;
    deadline: Timestamp;
    decision?: Decision;
  };
  offer_accepted: { offer: string; agent: string; name?: string; reservation?: string };
  offer_rejected: { offer: string; agent: string; reason?: string };
  offer_timed_out: { offer: string; agent: string };
  offer_rescinded: { offer: string; agent: string; reason: string };
  position_told: { position: number; wait_s?: number };
  offer_refused: { agent: string; reservation: string };
  reservation_checked: { agent: string; reservation: string; held: string };
  held: Fields;
  resumed: Fields;
  transferred: { from: string; to: Target; note?: string };
  returned_to_bot: { from?: string };
  consult_started: { agent: string; with: string; note?: string; joined?: boolean };
  taken_over: { agent: string; name?: string; from?: string; reservation?: string };
  consult_ended: { with: string };
  noted: { by: string; text: string };
  tagged: { tags: string[] };
  untagged: { tags: string[] };
  snoozed: { until: Timestamp };
  unsnoozed: Fields;
  customer_awaited: { prompt_at: Timestamp };
  inactivity_prompted: { close_at?: Timestamp };
  customer_left: Fields;
  wrap_up_started: { agent: string; deadline: Timestamp };
  reactivated: { agent: string };
  disposition_set: { session: number; code: string; note?: string };
  session_closed: { session: number; reason: string; agent?: string };
  satisfaction_requested: { session: number; deadline: Timestamp };
  satisfaction_rated: { session: number; score: number; comment?: string };
  command_refused: { command: string; command_type: string; refusal: Refusal };
  quarantined: { input: string; error: string };
  quarantine_lifted: Fields;
}

export type ConversationEventType = keyof ConversationEvents;
export interface AnyEvent extends Fields {
  type: string;
  v: number;
}

export interface Commit<E = AnyEvent> {
  commit_id: string;
  tenant: string;
  aggregate: AggregateKind;
  key: string;
  version: number;
  at: Timestamp;
  actor: Actor;
  contact?: string;
  cause: string;
  events: E[];
  concerns?: { queues?: string[]; agents?: string[] };
}

export interface LoggedCommit {
  seq: number;
  commit: Commit;
}

export interface Preview {
  text: string;
  /** Absent: the customer. */
  by?: 'agent' | 'bot' | 'system' | null;
  at: Timestamp;
}

export interface ConversationSummary {
  key: string;
  channel: string;
  thread: string;
  sender?: Sender | null;
  phase: Phase;
  session: number;
  queue?: string | null;
  agent?: string | null;
  priority?: number | null;
  waits_since?: Timestamp | null;
  waits_for?: string | null;
  abandon_at?: Timestamp | null;
  language?: string | null;
  collected?: Record<string, string>;
  tags?: string[];
  at: Timestamp;
  version: number;
  quarantined?: boolean;
  preview?: Preview | null;
  offer?: { id: string; agent: string; deadline: Timestamp } | null;
  snoozed_until?: Timestamp | null;
  held?: boolean;
  consult?: string | null;
  wrap_up_until?: Timestamp | null;
  disposition?: string | null;
  opened_at?: Timestamp | null;
}

export type InboxList = 'mine' | 'queues' | 'unassigned' | 'bot' | 'snoozed' | 'closed' | 'all';
/** Open conversations in each list. */
export type InboxCounts = Partial<Record<InboxList, number>>;

export interface Me {
  tenant: string;
  user: string;
  name: string;
  roles: { role: string; scope: unknown }[];
  permissions: string[];
  queues: string[];
  agent: boolean;
}

export interface Slot {
  conversation: string;
  weight: number;
  phase: 'reserved' | 'occupied' | 'wrap_up';
  since: Timestamp;
}

export interface AgentSummary {
  key: string;
  id: string;
  name: string;
  status: RoutingStatus;
  reason?: string | null;
  status_since?: Timestamp | null;
  online: boolean;
  skills: Record<string, number>;
  languages: string[];
  queues: string[];
  slots: number;
  in_use: number;
  held: Record<string, Slot>;
  at: Timestamp;
  version: number;
}

/** An aggregate as a query shows it. */
export interface Shown<S> {
  tenant: string;
  key: string;
  version: number;
  seq: number;
  at: Timestamp;
  state: S;
}

/** When an agent works: times such as `09:00-17:30` per weekday. */
export interface AgentShifts {
  time_zone: string;
  hours: Record<string, string[]>;
}

export interface AgentState extends Omit<AgentSummary, 'key' | 'in_use' | 'at' | 'version'> {
  removed?: boolean;
  shifts?: AgentShifts | null;
}

export interface QueueFigures {
  queue: string;
  waiting: number;
  oldest_s?: number | null;
  service_level?: number | null;
  estimated_wait_s?: number | null;
  estimate_error_s?: number | null;
}

/** The wall as it was at a moment. */
export interface WallThen {
  at: Timestamp;
  /** When the tenant began. */
  began: Timestamp;
  queues: QueueFigures[];
  agents: AgentSummary[];
  /** Those who had waited longest first. */
  waiting: ConversationSummary[];
  /** How many there were in all. */
  totals: { agents: number; waiting: number };
  /** Who the customers of agents' conversations are. */
  senders: Record<string, string>;
}

export interface ContactDetails {
  name?: string | null;
  identities?: { channel: string; id: string }[];
  attributes?: Fields;
  tags?: string[];
}

export interface Contact {
  key: string;
  version: number;
  at: Timestamp;
  /** Its own, and those of the contacts that are part of it. */
  details: ContactDetails;
  state: ContactState;
}

export interface ContactState {
  first_seen?: Timestamp;
  last_seen?: Timestamp;
  /** The contacts that are part of it, each with what it brought. */
  absorbed?: { from: string; merge: string; details: ContactDetails }[];
  /** The contact that it is part of. */
  part_of?: { into: string; merge: string; rule?: string };
}

/** As lists show it. */
export interface ContactSummary extends ContactDetails {
  key: string;
  part_of?: string;
  last_seen?: Timestamp;
  version: number;
}

export interface EntryContent {
  question: string;
  similar?: string[];
  answer: string;
  channel_answers?: Record<string, string>;
  variables?: Record<string, string>;
  language?: string | null;
  category?: string | null;
  audience?: 'customers' | 'agents';
  valid_from?: Timestamp | null;
  valid_until?: Timestamp | null;
}

export interface FeedbackCounts {
  adopted: number;
  edited: number;
  rejected: number;
  helpful: number;
  unhelpful: number;
}

export interface EntrySummary {
  id: string;
  status: 'draft' | 'approved' | 'retired';
  entry_version: number;
  approved?: number | null;
  question: string;
  similar: number;
  language?: string | null;
  category?: string | null;
  feedback: FeedbackCounts;
  at: Timestamp;
  version: number;
}

export interface EntryVersion {
  entry_version: number;
  at: Timestamp;
  by: string;
  comment?: string | null;
  rolled_back_to?: number | null;
  approval?: { at: Timestamp; reviewer: string } | null;
  content: EntryContent;
}

export interface Entry {
  key: string;
  version: number;
  status: 'draft' | 'approved' | 'retired';
  state: { entry_version: number; history: EntryVersion[]; approved?: number | null; retired?: boolean };
}

export interface Candidate {
  entry: string;
  entry_version: number;
  question: string;
  answer: string;
  probability: number;
  may_answer: boolean;
}

export interface Answered {
  outcome: 'answer' | 'choices' | 'decline';
  text?: string;
  reason?: string;
  in_scope: number;
  candidates: Candidate[];
}

export interface SettingsDocument {
  document: string;
  version: number;
  at: Timestamp;
  document_version: number;
  value: unknown;
  history: { document_version: number; at: Timestamp; by: string; comment?: string | null; value: unknown }[];
}

/** A piece of a text that was found. */
export interface Piece {
  text: string;
  hit: boolean;
}

export interface MessageHit {
  id: string;
  conversation: string;
  session: number;
  channel: string;
  author: string;
  author_id?: string;
  at_ms: number;
  snippet: Piece[];
}

/** An entry that says what was looked for. */
export interface EntryHit extends EntrySummary {
  found_in: 'question' | 'similar' | 'answer' | 'id';
  snippet: Piece[];
}

export interface Page<T> {
  items: T[];
  next?: string | null;
}

export interface CommandResult {
  id: string;
  ok: boolean;
  version?: number | null;
  seq?: number | null;
  refusal?: Refusal | null;
  changed?: Commit[];
}

export type Topic = 'conversations' | 'agents' | 'contacts' | 'entries' | 'settings';

export type ClientFrame =
  | {
      type: 'resume';
      epoch?: string;
      last_seq?: number;
      last_commit?: { seq: number; id: string };
      topics: Topic[];
      view: 'own' | 'queues' | 'all';
    }
  | {
      type: 'command';
      id: string;
      aggregate: AggregateKind;
      key: string;
      expected_version?: number;
      command: Fields;
    }
  | { type: 'typing'; conversation: string; on: boolean }
  | { type: 'watch'; conversation?: string }
  | { type: 'ping' };

export type ServerFrame =
  | { type: 'hello'; epoch: string; seq: number; user: string; heartbeat_s: number }
  | {
      type: 'reset';
      epoch: string;
      seq: number;
      user: string;
      heartbeat_s: number;
      reason: string;
      conversations: ConversationSummary[];
      truncated?: boolean;
      agent?: Shown<AgentState> | null;
    }
  | { type: 'commit'; seq: number; prev: number; commit: Commit }
  | { type: 'heartbeat'; seq: number; prev: number; at: Timestamp }
  | { type: 'result'; id: string; result: CommandResult; changed?: Commit[] }
  | { type: 'typing'; conversation: string; user: string; on: boolean }
  | { type: 'viewers'; conversation: string; users: string[] }
  | { type: 'error'; code: string; message: string; fatal?: boolean };

export type ReportUnit = 'count' | 'share' | 'seconds' | 'score' | 'mean';
/** Whose work a figure tells of: the bot's, people's, or the customers' contact as a whole. */
export type Whose = 'bot' | 'people' | 'all';
export type Dimension = 'all' | 'channel' | 'queue' | 'agent' | 'skill' | 'intent' | 'entry';
export type ReportStep = 'minute' | 'hour' | 'day';

export interface ReportColumn {
  name: string;
  version: number;
  label: string;
  unit: ReportUnit;
  whose: Whose;
}

export interface ReportRow {
  /** When the stretch begins, in a series. */
  at?: Timestamp;
  /** The channel, queue, agent, …; absent: the whole. */
  value?: string;
  /** What there is nothing to tell of is absent. */
  figures: Record<string, number>;
}

export interface Report {
  seq: number;
  /** IANA name of the time zone in which days begin. */
  zone: string;
  from: Timestamp;
  to: Timestamp;
  by: Dimension;
  metrics: ReportColumn[];
  rows: ReportRow[];
}

export interface FigureDefinition extends ReportColumn {
  formula: string;
  /** Measure → what it counts or times, and when. */
  sources: Record<string, string>;
  by: Dimension[];
  edges: string;
  /** Whether the sessions behind it can be listed. */
  sessions: boolean;
}

/** An ended session, as reports list it. */
export interface ReportSession {
  conversation: string;
  session: number;
  channel: string;
  opened_at: Timestamp;
  closed_at: Timestamp;
  reason: string;
  queue: string | null;
  agent: string | null;
  intent: string | null;
  questions: number;
  answers: number;
  waited_s: number;
  first_response_s: number | null;
  handled_s: number;
  transfers: number;
  disposition: string | null;
  rating: number | null;
}
