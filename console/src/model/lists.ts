// Which conversations are in which list, and in which order.

import type { InboxList } from '../api/types';
import type { Row } from './fold';

export const LISTS: InboxList[] = ['mine', 'queues', 'unassigned', 'bot', 'snoozed', 'closed', 'all'];

export interface Viewer {
  user: string;
  queues: string[];
}

export function belongs(row: Row, list: InboxList, viewer: Viewer): boolean {
  const mine = row.agent === viewer.user || row.consult === viewer.user;
  switch (list) {
    case 'mine':
      return mine && !row.snoozed_until && row.phase !== 'closed';
    case 'queues':
      return row.phase !== 'closed' && !!row.queue && viewer.queues.includes(row.queue);
    case 'unassigned':
      return row.phase === 'queued' || row.phase === 'offered';
    case 'bot':
      return row.phase === 'bot';
    case 'snoozed':
      return !!row.snoozed_until;
    case 'closed':
      return row.phase === 'closed';
    case 'all':
      return true;
  }
}

const byTime = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Offers come first, since somebody waits for the answer; in queues whoever has waited longest; else the last active. */
export function ordered(rows: Row[], list: InboxList): Row[] {
  const waiting = list === 'unassigned';
  return [...rows].sort((a, b) => {
    if (waiting)
      return (b.priority ?? 0) - (a.priority ?? 0) || byTime(a.waits_since ?? a.at, b.waits_since ?? b.at);
    if (list === 'mine' && (a.phase === 'offered') !== (b.phase === 'offered'))
      return a.phase === 'offered' ? -1 : 1;
    return byTime(b.at, a.at);
  });
}
