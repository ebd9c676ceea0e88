import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Socket, type Wire } from '../src/api/socket';
import type { ClientFrame, Commit, ServerFrame } from '../src/api/types';

class Peer implements Wire {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: ClientFrame[] = [];
  closed = false;
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  says(...frames: ServerFrame[]) {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }
  of<T extends ClientFrame['type']>(type: T) {
    return this.sent.filter((frame): frame is Extract<ClientFrame, { type: T }> => frame.type === type);
  }
}

const hello = (seq: number): ServerFrame => ({
  type: 'hello',
  epoch: 'e',
  seq,
  user: 'ann',
  heartbeat_s: 10,
});
const reset = (seq: number, epoch = 'e'): ServerFrame => ({
  type: 'reset',
  epoch,
  seq,
  user: 'ann',
  heartbeat_s: 10,
  reason: 'new',
  conversations: [],
});
const commit = (seq: number, prev: number): ServerFrame => ({
  type: 'commit',
  seq,
  prev,
  commit: { key: `k${seq}`, version: 1 } as Commit,
});

function setUp() {
  const peers: Peer[] = [];
  const seen: number[] = [];
  const states: string[] = [];
  const resets: number[] = [];
  const socket = new Socket(
    {
      onState: (state) => states.push(state),
      onReset: (frame) => resets.push(frame.seq),
      onCommit: (_, seq) => seen.push(seq),
    },
    {
      connect: () => {
        const peer = new Peer();
        peers.push(peer);
        return peer;
      },
      random: () => 1,
    },
  );
  const last = () => peers.at(-1)!;
  const open = () => {
    last().onopen?.();
    return last();
  };
  socket.start();
  return { socket, peers, seen, states, resets, last, open };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the socket', () => {
  it('begins without a place, and takes a snapshot in', () => {
    const it_ = setUp();
    const peer = it_.open();
    expect(peer.sent[0]).toMatchObject({ type: 'resume', view: 'all' });
    expect(peer.sent[0]).not.toHaveProperty('last_seq');
    peer.says(reset(40), commit(42, 40), commit(45, 42));
    expect(it_.resets).toEqual([40]);
    expect(it_.seen).toEqual([42, 45]);
    expect(it_.states.at(-1)).toBe('live');
  });

  it('comes back with the place of the last frame, heartbeats among them', () => {
    const it_ = setUp();
    it_.open().says(reset(40), commit(42, 40), {
      type: 'heartbeat',
      seq: 60,
      prev: 42,
      at: '2026-01-01T00:00:00.000Z',
    });
    it_.last().onclose?.();
    vi.advanceTimersByTime(250);
    expect(it_.open().sent[0]).toMatchObject({ epoch: 'e', last_seq: 60 });
    it_.last().says(hello(60), commit(61, 60));
    expect(it_.seen).toEqual([42, 61]);
  });

  it('connects again where a frame is missing, and drops one that comes twice', () => {
    const it_ = setUp();
    it_.open().says(reset(40), commit(42, 40), commit(42, 40));
    expect(it_.seen).toEqual([42]);
    expect(it_.peers).toHaveLength(1);
    it_.last().says(commit(50, 45));
    expect(it_.seen).toEqual([42]);
    expect(it_.peers[0]!.closed).toBe(true);
    vi.advanceTimersByTime(250);
    expect(it_.open().sent[0]).toMatchObject({ last_seq: 42 });
  });

  it('drops its place when the log is another one', () => {
    const it_ = setUp();
    it_.open().says(reset(40));
    it_.last().onclose?.();
    vi.advanceTimersByTime(250);
    it_.open().says(reset(3, 'other'), commit(4, 3));
    it_.last().onclose?.();
    vi.advanceTimersByTime(250);
    expect(it_.open().sent[0]).toMatchObject({ epoch: 'other', last_seq: 4 });
    expect(it_.resets).toEqual([40, 3]);
  });

  it('takes a connection without a sign for dead', () => {
    const it_ = setUp();
    it_.open().says(reset(40));
    vi.advanceTimersByTime(19_000);
    expect(it_.peers[0]!.closed).toBe(false);
    vi.advanceTimersByTime(1_500);
    expect(it_.peers[0]!.closed).toBe(true);
    expect(it_.peers.length).toBeGreaterThan(1);
  });

  it('waits longer from try to try, and not longer than ten seconds', () => {
    const it_ = setUp();
    const waits: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      const before = it_.peers.length;
      it_.last().onclose?.();
      let waited = 0;
      while (it_.peers.length === before) {
        vi.advanceTimersByTime(50);
        waited += 50;
      }
      waits.push(waited);
    }
    expect(waits.slice(0, 4)).toEqual([250, 500, 1000, 2000]);
    expect(Math.max(...waits)).toBe(10_000);
  });

  it('sends a command again under its id until its result is known, and then no more', async () => {
    const it_ = setUp();
    it_.open().says(reset(40));
    const result = it_.socket.command(
      'c1',
      { aggregate: 'conversation', key: 'k' },
      { type: 'accept', v: 1 },
    );
    expect(
      it_
        .last()
        .of('command')
        .map((frame) => frame.id),
    ).toEqual(['c1']);
    it_.last().onclose?.();
    const late = it_.socket.command('c2', { aggregate: 'conversation', key: 'k' }, { type: 'hold', v: 1 });
    vi.advanceTimersByTime(250);
    it_.open();
    // Nothing before the server knows where this client stands.
    expect(it_.last().of('command')).toEqual([]);
    it_.last().says(hello(40));
    expect(
      it_
        .last()
        .of('command')
        .map((frame) => frame.id),
    ).toEqual(['c1', 'c2']);
    it_.last().says({ type: 'result', id: 'c1', result: { id: 'c1', ok: true, version: 3 } });
    await expect(result).resolves.toMatchObject({ ok: true, version: 3 });
    it_.last().onclose?.();
    vi.advanceTimersByTime(250);
    it_.open().says(hello(40));
    expect(
      it_
        .last()
        .of('command')
        .map((frame) => frame.id),
    ).toEqual(['c2']);
    const refusal = { code: 'wrong_state', message: 'no' };
    it_.last().says({ type: 'result', id: 'c2', result: { id: 'c2', ok: false, refusal } });
    await expect(late).resolves.toMatchObject({ ok: false, refusal });
  });

  it('says again which conversation is watched', () => {
    const it_ = setUp();
    it_.open().says(reset(40));
    it_.socket.watch('k');
    it_.last().onclose?.();
    vi.advanceTimersByTime(250);
    it_.open().says(hello(40));
    expect(it_.last().of('watch')).toEqual([{ type: 'watch', conversation: 'k' }]);
  });

  it('does not connect again once it was stopped', () => {
    const it_ = setUp();
    it_.open().says(reset(40));
    it_.socket.stop();
    vi.advanceTimersByTime(60_000);
    expect(it_.peers).toHaveLength(1);
  });
});

describe('cut after every frame', () => {
  // A log of which this client sees only some sequences.
  const log = Array.from({ length: 60 }, (_, index) => index * 2 + 5);

  /** What a server sends to a client that stands at `from`. */
  function gap(from: number): ServerFrame[] {
    let prev = from;
    return log
      .filter((seq) => seq > from)
      .map((seq) => {
        const frame = commit(seq, prev);
        prev = seq;
        return frame;
      });
  }

  it.each(log.map((_, index) => index))('at frame %i: every commit once, in order', (cut) => {
    const it_ = setUp();
    it_.open().says(reset(3), ...gap(3).slice(0, cut));
    it_.last().onclose?.();
    vi.advanceTimersByTime(250);
    const resume = it_.open().of('resume')[0]!;
    it_.last().says(hello(resume.last_seq!), ...gap(resume.last_seq!));
    expect(it_.seen).toEqual(log);
  });
});
