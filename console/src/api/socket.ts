// The socket to the bridge. It keeps the place in the log across breaks, so that no commit is missed and none is taken
// in twice; and it keeps commands until their result is known, and sends them again under the same id after a break.

import type { ClientFrame, CommandResult, Commit, Fields, ServerFrame, Topic } from './types';

/** What of a WebSocket is needed; tests hand in their own. */
export interface Wire {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
}

export type LinkState = 'connecting' | 'live' | 'offline';
type Reset = Extract<ServerFrame, { type: 'reset' }>;

export interface SocketHandlers {
  onState(state: LinkState): void;
  onReset(frame: Reset): void;
  onCommit(commit: Commit, seq: number): void;
  onTyping?(conversation: string, user: string, on: boolean): void;
  onViewers?(conversation: string, users: string[]): void;
  onClock?(serverTime: string): void;
  onError?(code: string, message: string, fatal: boolean): void;
  /** The connection broke before the server said anything: perhaps the sign-in has ended. */
  onRefused?(): void;
}

export interface SocketOptions {
  connect(): Wire;
  topics?(): Topic[];
  random?(): number;
}

export interface CommandAddress {
  aggregate: 'conversation' | 'contact' | 'agent' | 'faq' | 'settings';
  key: string;
  expected_version?: number;
}

interface Pending {
  frame: ClientFrame;
  settle(result: CommandResult): void;
}

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;
/** Until the server has said how often it sends heartbeats. */
const DEFAULT_HEARTBEAT_S = 15;
/** More commands than this at once are a mistake of the page, and are refused. */
const MAX_PENDING = 200;

export class Socket {
  private wire: Wire | null = null;
  private epoch: string | undefined;
  private lastSeq: number | undefined;
  /** By it the server notices a log that lost its end and grew again otherwise. */
  private lastCommit: { seq: number; id: string } | undefined;
  private greeted = false;
  private attempts = 0;
  private heartbeatMs = DEFAULT_HEARTBEAT_S * 1000;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private silenceTimer: ReturnType<typeof setTimeout> | undefined;
  private stopped = true;
  private watched: string | undefined;
  private readonly pending = new Map<string, Pending>();

  constructor(
    private readonly handlers: SocketHandlers,
    private readonly options: SocketOptions,
  ) {}

  start(): void {
    this.stopped = false;
    this.open();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    this.drop();
    this.handlers.onState('offline');
  }

  /** Connect at once, for example because the network has come back. */
  wake(): void {
    if (this.stopped || this.wire) return;
    clearTimeout(this.retryTimer);
    this.attempts = 0;
    this.open();
  }

  /** Resolves with the result, however many breaks lie between. */
  command(id: string, address: CommandAddress, command: Fields): Promise<CommandResult> {
    if (this.pending.size >= MAX_PENDING) {
      const refusal = { code: 'too_many', message: 'too many commands wait for the server' };
      return Promise.resolve({ id, ok: false, refusal });
    }
    return new Promise((settle) => {
      const frame: ClientFrame = { type: 'command', id, ...address, command };
      this.pending.set(id, { frame, settle });
      if (this.greeted) this.send(frame);
    });
  }

  typing(conversation: string, on: boolean): void {
    if (this.greeted) this.send({ type: 'typing', conversation, on });
  }

  watch(conversation: string | undefined): void {
    this.watched = conversation;
    if (this.greeted) this.send(conversation ? { type: 'watch', conversation } : { type: 'watch' });
  }

  private open(): void {
    this.handlers.onState('connecting');
    const wire = this.options.connect();
    this.wire = wire;
    this.greeted = false;
    wire.onopen = () => {
      const topics = this.options.topics?.() ?? ['conversations'];
      const { epoch, lastSeq: last_seq, lastCommit: last_commit } = this;
      this.send({ type: 'resume', epoch, last_seq, last_commit, topics, view: 'all' });
    };
    wire.onmessage = (event) => {
      if (this.wire === wire) this.receive(String(event.data));
    };
    wire.onclose = () => {
      if (this.wire === wire) this.broke();
    };
    this.expectSign();
  }

  private send(frame: ClientFrame): void {
    this.wire?.send(JSON.stringify(frame));
  }

  private receive(text: string): void {
    let frame: ServerFrame;
    try {
      frame = JSON.parse(text) as ServerFrame;
    } catch {
      this.broke();
      return;
    }
    this.expectSign();
    switch (frame.type) {
      case 'hello':
        this.heartbeatMs = frame.heartbeat_s * 1000;
        this.epoch = frame.epoch;
        this.lastSeq = frame.seq;
        this.ready();
        break;
      case 'reset':
        this.heartbeatMs = frame.heartbeat_s * 1000;
        this.epoch = frame.epoch;
        this.lastSeq = frame.seq;
        this.lastCommit = undefined;
        this.handlers.onReset(frame);
        this.ready();
        break;
      case 'commit':
        if (this.follows(frame.seq, frame.prev)) {
          this.lastSeq = frame.seq;
          this.lastCommit = { seq: frame.seq, id: frame.commit.commit_id };
          this.handlers.onCommit(frame.commit, frame.seq);
        }
        break;
      case 'heartbeat':
        if (this.follows(frame.seq, frame.prev)) this.lastSeq = frame.seq;
        this.handlers.onClock?.(frame.at);
        break;
      case 'result': {
        const pending = this.pending.get(frame.id);
        this.pending.delete(frame.id);
        pending?.settle({ ...frame.result, changed: frame.changed });
        break;
      }
      case 'typing':
        this.handlers.onTyping?.(frame.conversation, frame.user, frame.on);
        break;
      case 'viewers':
        this.handlers.onViewers?.(frame.conversation, frame.users);
        break;
      case 'error':
        this.handlers.onError?.(frame.code, frame.message, frame.fatal === true);
        break;
    }
  }

  /** Whether a frame comes right after the last one. A repeated one is dropped; after a gap the socket begins again. */
  private follows(seq: number, prev: number): boolean {
    if (this.lastSeq === undefined) return false;
    if (prev === this.lastSeq && seq >= prev) return true;
    if (seq > this.lastSeq) this.broke();
    return false;
  }

  private ready(): void {
    this.greeted = true;
    this.attempts = 0;
    // Only now is it known how long a silence may be.
    this.expectSign();
    this.handlers.onState('live');
    if (this.watched) this.send({ type: 'watch', conversation: this.watched });
    for (const { frame } of this.pending.values()) this.send(frame);
  }

  /** After two heartbeats' time without a sign the connection counts as dead, whatever the operating system believes. */
  private expectSign(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = setTimeout(() => this.broke(), 2 * this.heartbeatMs);
  }

  private drop(): void {
    clearTimeout(this.silenceTimer);
    const wire = this.wire;
    this.wire = null;
    this.greeted = false;
    if (wire) {
      wire.onopen = wire.onmessage = wire.onclose = null;
      wire.close();
    }
  }

  private broke(): void {
    const refused = !this.greeted;
    this.drop();
    if (this.stopped) return;
    this.handlers.onState('offline');
    if (refused) this.handlers.onRefused?.();
    const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts);
    this.attempts += 1;
    // A random part, so that a thousand pages do not all come back in the same moment.
    const random = this.options.random ?? Math.random;
    this.retryTimer = setTimeout(() => this.open(), ceiling / 2 + (random() * ceiling) / 2);
  }
}

export function webSocketTo(path: string): () => Wire {
  return () => {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    return new WebSocket(`${scheme}//${location.host}${path}`) as unknown as Wire;
  };
}
