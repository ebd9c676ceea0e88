// The rows of all conversations that the page knows, folded from commits; which lists have been loaded; and the counts.

import { computed, signal } from '@preact/signals';
import * as http from '../api/http';
import type { Commit, ConversationSummary, InboxCounts, InboxList } from '../api/types';
import { type Row, take } from '../model/fold';
import { belongs, ordered } from '../model/lists';
import { me, myKey } from './session';
import { tellError } from './toasts';

/** Commits that come together are shown together. */
const REDRAW_MS = 30;
/** Counts are asked for at most this often. */
const RECOUNT_MS = 700;

const known = new Map<string, Row>();
const fetching = new Set<string>();
/** Counts changes of `known`, which is too large to be copied for every commit. */
const changes = signal(0);
export const counts = signal<InboxCounts | null>(null);
export const listState = signal<{ list: InboxList; next?: string; loading: boolean }>({
  list: 'mine',
  loading: false,
});

let redraw: ReturnType<typeof setTimeout> | undefined;
let recount: ReturnType<typeof setTimeout> | undefined;

function changed(): void {
  if (redraw !== undefined) return;
  redraw = setTimeout(() => {
    redraw = undefined;
    changes.value += 1;
  }, REDRAW_MS);
}

function countSoon(): void {
  if (recount !== undefined) return;
  recount = setTimeout(async () => {
    recount = undefined;
    try {
      counts.value = await http.get<InboxCounts>('inbox');
    } catch {
      // The socket says when the server is away; the counts come with the next commit.
    }
  }, RECOUNT_MS);
}

export const rows = computed<ReadonlyMap<string, Row>>(() => {
  changes.value;
  return new Map(known);
});

export const row = (key: string): Row | undefined => rows.value.get(key);

/** The same outside of drawing: without waiting for the next redraw. */
export const newest = (key: string): Row | undefined => known.get(key);

const viewer = computed(() => ({ user: myKey(), queues: me.value?.queues ?? [] }));

export const inList = (list: InboxList): Row[] =>
  ordered(
    [...rows.value.values()].filter((one) => belongs(one, list, viewer.value)),
    list,
  );

export const offers = computed(() => inList('mine').filter((one) => one.phase === 'offered' && one.offer));

/** Takes rows in as the server shows them; a row that is newer here stays. */
export function put(summaries: ConversationSummary[]): void {
  for (const summary of summaries) {
    const mine = known.get(summary.key);
    if (!mine || mine.version <= summary.version) known.set(summary.key, summary);
  }
  changed();
}

export function begin(summaries: ConversationSummary[]): void {
  known.clear();
  put(summaries);
  countSoon();
}

export function takeCommit(commit: Commit): void {
  const taken = take(known.get(commit.key), commit);
  if (taken.outcome === 'folded') {
    known.set(commit.key, taken.row);
    changed();
  }
  if (taken.outcome === 'missing') void fetchRow(commit.key);
  if (taken.outcome !== 'dropped') countSoon();
}

export async function fetchRow(key: string): Promise<void> {
  if (fetching.has(key)) return;
  fetching.add(key);
  try {
    put([await http.summary(key)]);
  } catch (error) {
    // It may have left what this user may see.
    if (error instanceof http.ApiError && (error.status === 403 || error.status === 404)) {
      known.delete(key);
      changed();
    }
  } finally {
    fetching.delete(key);
  }
}

export async function loadList(list: InboxList): Promise<void> {
  listState.value = { list, loading: true };
  countSoon();
  try {
    const page = await http.conversations(list);
    put(page.items);
    if (listState.value.list === list)
      listState.value = { list, next: page.next ?? undefined, loading: false };
  } catch (error) {
    tellError(error);
    listState.value = { list, loading: false };
  }
}

export async function loadMore(): Promise<void> {
  const { list, next, loading } = listState.value;
  if (!next || loading) return;
  listState.value = { list, next, loading: true };
  try {
    const page = await http.conversations(list, next);
    put(page.items);
    if (listState.value.list === list)
      listState.value = { list, next: page.next ?? undefined, loading: false };
  } catch (error) {
    tellError(error);
    listState.value = { list, next, loading: false };
  }
}
