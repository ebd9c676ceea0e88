// The conversation that is open: its commits, from which its timeline is folded.

import { computed, signal } from '@preact/signals';
import * as http from '../api/http';
import type { Commit, LoggedCommit } from '../api/types';
import { emptyRow, foldRow } from '../model/fold';
import { type Item, timelineOf } from '../model/timeline';
import { tellError } from './toasts';

const PAGE = 200;

interface Thread {
  key: string;
  /** Oldest first, without gaps in their versions. */
  commits: LoggedCommit[];
  /** Earlier ones are on the server. */
  more: boolean;
  loading: boolean;
}

export const thread = signal<Thread | null>(null);
/** What is looked at is the conversation as it was then; `null`: now. */
export const moment = signal<string | null>(null);

const shown = computed<LoggedCommit[]>(() => {
  const commits = thread.value?.commits ?? [];
  const until = moment.value;
  return until === null ? commits : commits.filter(({ commit }) => commit.at <= until);
});

export const timeline = computed<Item[]>(() => timelineOf(shown.value.map(({ commit }) => commit)));

/** The conversation as it was at the moment, where all of its commits are here. */
export const rowThen = computed(() => {
  const first = shown.value[0]?.commit;
  if (first?.version !== 1) return null;
  return shown.value.reduce((row, { commit }) => foldRow(row, commit), emptyRow(first.key, first.at));
});

export async function open(key: string): Promise<void> {
  if (thread.value?.key === key && !thread.value.loading) return;
  moment.value = null;
  thread.value = { key, commits: [], more: false, loading: true };
  await refresh(key);
}

export function leave(): void {
  thread.value = null;
  moment.value = null;
}

/** Reads the newest commits again. */
export async function refresh(key: string): Promise<void> {
  try {
    // No sequence comes after this one: the page before it is the last one.
    const page = await http.commits('conversations', key, { before: Number.MAX_SAFE_INTEGER, limit: PAGE });
    const current = thread.value;
    if (current?.key !== key) return;
    const commits = merged(page.items, current.commits);
    thread.value = { key, commits, more: (commits[0]?.commit.version ?? 1) > 1, loading: false };
  } catch (error) {
    if (thread.value?.key === key) thread.value = { key, commits: [], more: false, loading: false };
    tellError(error);
  }
}

export async function loadEarlier(): Promise<void> {
  const current = thread.value;
  const before = current?.commits[0]?.seq;
  if (!current || current.loading || before === undefined) return;
  thread.value = { ...current, loading: true };
  try {
    const page = await http.commits('conversations', current.key, { before, limit: PAGE });
    if (thread.value?.key !== current.key) return;
    const commits = merged(page.items, thread.value.commits);
    thread.value = { key: current.key, commits, more: (commits[0]?.commit.version ?? 1) > 1, loading: false };
  } catch (error) {
    thread.value = { ...current, loading: false };
    tellError(error);
  }
}

export async function loadAll(): Promise<void> {
  // A limit, so that a conversation of years does not stop the page.
  for (let pages = 0; pages < 50 && thread.value?.more; pages += 1) await loadEarlier();
}

export function takeIntoThread(commit: Commit, seq: number): void {
  const current = thread.value;
  if (!current || current.key !== commit.key) return;
  const last = current.commits.at(-1)?.commit.version;
  if (last === undefined || commit.version > last + 1) {
    // While it loads, what comes is on the page that is being read, or comes after it: both are put together.
    if (current.loading) thread.value = { ...current, commits: merged(current.commits, [{ seq, commit }]) };
    else void refresh(commit.key);
  } else if (commit.version === last + 1) {
    thread.value = { ...current, commits: [...current.commits, { seq, commit }] };
  }
}

/** Both, each version once, and only as far back as there is no gap. */
export function merged(some: LoggedCommit[], others: LoggedCommit[]): LoggedCommit[] {
  const byVersion = new Map([...some, ...others].map((one) => [one.commit.version, one]));
  const all = [...byVersion.values()].sort((a, b) => a.commit.version - b.commit.version);
  const gap = all.findLastIndex(
    (one, index) => index > 0 && one.commit.version !== all[index - 1]!.commit.version + 1,
  );
  return gap > 0 ? all.slice(gap) : all;
}
