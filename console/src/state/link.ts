// The page's one socket: what comes over it goes to the rows, the open conversation and the agents; what the user does
// goes out by it.

import { signal } from '@preact/signals';
import * as http from '../api/http';
import { type LinkState, Socket, webSocketTo } from '../api/socket';
import type { CommandResult, Commit, Fields } from '../api/types';
import { t } from '../i18n';
import { isHarmless, takenBy } from '../model/stale';
import { learnServerTime } from './clock';
import * as inbox from './inbox';
import { agentChanged, loadAgents, loadOwn, nameOf, own } from './people';
import { can, findSession, forget, me, myKey } from './session';
import { refresh, takeIntoThread, thread } from './thread';
import { tell } from './toasts';

export const linkState = signal<LinkState>('offline');
/** Conversation → who writes there now. */
export const typing = signal<Record<string, string[]>>({});
export const viewers = signal<{ conversation: string; users: string[] }>({ conversation: '', users: [] });

/** Whoever does not say again that they write has stopped. */
const TYPING_MS = 8000;
/** How often a command is tried again after changes that do not matter to it. */
const MAX_AGAIN = 3;

/** Codes of refusals that may come from somebody else's having been faster. */
const LATE = ['stale', 'wrong_state', 'not_yours', 'obsolete', 'no_offer'];

const typingTimers = new Map<string, ReturnType<typeof setTimeout>>();

function setTyping(conversation: string, user: string, on: boolean): void {
  const others = (typing.value[conversation] ?? []).filter((other) => other !== user);
  typing.value = { ...typing.value, [conversation]: on ? [...others, user] : others };
  const id = `${conversation} ${user}`;
  clearTimeout(typingTimers.get(id));
  if (on)
    typingTimers.set(
      id,
      setTimeout(() => setTyping(conversation, user, false), TYPING_MS),
    );
}

const socket = new Socket(
  {
    onState: (state) => {
      linkState.value = state;
    },
    onReset: (frame) => {
      if (frame.reason === 'permissions_changed') void findSession();
      inbox.begin(frame.conversations);
      void inbox.loadList(inbox.listState.value.list);
      if (frame.agent) own.value = frame.agent;
      else void loadOwn();
      void loadAgents();
      if (thread.value) {
        void inbox.fetchRow(thread.value.key);
        void refresh(thread.value.key);
      }
    },
    onCommit: (commit, seq) => {
      try {
        if (commit.aggregate === 'conversation') {
          tellIfTaken(commit);
          inbox.takeCommit(commit);
          takeIntoThread(commit, seq);
          if (commit.actor.kind === 'customer') setTyping(commit.key, 'customer', false);
        } else if (commit.aggregate === 'agent') {
          agentChanged(commit.key);
        }
      } catch (error) {
        // One commit that cannot be shown must not stop those after it.
        console.error(error);
      }
    },
    onTyping: setTyping,
    onViewers: (conversation, users) => {
      viewers.value = { conversation, users: users.filter((user) => user !== myKey()) };
    },
    onClock: learnServerTime,
    onError: (code, message, fatal) => {
      if (code === 'unauthenticated') forget();
      else if (!fatal) tell(message, 'bad');
    },
    onRefused: () => {
      // The browser does not say why a socket was refused: ask whether somebody is still signed in.
      if (me.value) void checkSession();
    },
  },
  {
    connect: webSocketTo('/api/v1/socket'),
    // All agents' commits are for those who look after them; one's own come anyway.
    topics: () => (can('agent.manage') ? ['conversations', 'agents'] : ['conversations']),
  },
);

/** Whoever loses a conversation to a supervisor is told by whom. */
function tellIfTaken(commit: Commit): void {
  const taken = commit.events.find((event) => event.type === 'taken_over' && event.from === myKey());
  if (!taken) return;
  const row = inbox.newest(commit.key);
  const customer = row?.sender?.name || row?.sender?.id || commit.key;
  tell(t('takenFromYou', { agent: nameOf(String(taken.agent)), customer }), 'bad');
}

async function checkSession(): Promise<void> {
  try {
    await http.me();
  } catch (error) {
    if (error instanceof http.ApiError && error.status === 401) await findSession();
  }
}

export function connect(): void {
  socket.start();
}

export function disconnect(): void {
  socket.stop();
}

addEventListener('online', () => socket.wake());

export const sayTyping = (conversation: string, on: boolean): void => socket.typing(conversation, on);
export const watch = (conversation: string | undefined): void => socket.watch(conversation);

/** Unique among all that is ever sent; `crypto.randomUUID` is missing where the page came without TLS. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function send(
  aggregate: 'conversation' | 'agent' | 'faq' | 'contact',
  key: string,
  command: Fields,
  seen?: number,
): Promise<CommandResult> {
  let expected_version = seen;
  for (let tries = 0; ; tries += 1) {
    const result = await socket.command(newId(), { aggregate, key, expected_version }, { v: 1, ...command });
    const changed = result.changed ?? [];
    const again = result.refusal?.code === 'stale' && tries < MAX_AGAIN && isHarmless(changed);
    if (!again) return result;
    expected_version = Math.max(result.version ?? 0, ...changed.map((commit) => commit.version));
  }
}

async function explain(result: CommandResult, key = ''): Promise<void> {
  if (result.ok || !result.refusal) return;
  const { code, message } = result.refusal;
  // It is as the user wanted it.
  if (code === 'unchanged') return;
  // Where somebody else was faster, who it was matters more than the rule by which it was refused.
  const isLate = LATE.includes(code) && key !== '';
  // The result may be here before the commits that led to it.
  if (isLate) await inbox.fetchRow(key);
  const holder = takenBy(result.changed ?? []) ?? (isLate ? inbox.newest(key)?.agent : undefined);
  if (holder && holder !== myKey()) tell(t('offer.taken', { agent: nameOf(holder) }), 'bad');
  else tell(code === 'stale' ? t('refused.stale') : message, 'bad');
}

/** Asks a conversation to do something, and tells the user where it does not. */
export async function act(key: string, command: Fields, seen?: number): Promise<boolean> {
  const result = await send('conversation', key, command, seen);
  void explain(result, key);
  return result.ok;
}

export async function actAsAgent(key: string, command: Fields): Promise<boolean> {
  const result = await send('agent', key, command);
  void explain(result);
  return result.ok;
}

export async function giveFeedback(
  entry: string,
  entry_version: number,
  feedback: 'adopted' | 'edited' | 'rejected',
  conversation: string,
): Promise<void> {
  const result = await send('faq', entry, { type: 'give_feedback', feedback, conversation, entry_version });
  void explain(result);
}
