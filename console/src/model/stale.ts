// A command says which version the user saw. What has happened since may not matter to it: then it is sent again.

import type { Commit } from '../api/types';

const HARMLESS = new Set([
  'answer_rated',
  'command_refused',
  'customer_awaited',
  'delivery_reported',
  'disposition_set',
  'noted',
  'position_told',
  'reservation_checked',
  'tagged',
  'untagged',
]);

const TAKEN = new Set(['offer_accepted', 'offer_made', 'taken_over']);

/** Who got a conversation by what has happened since, if anybody did. */
export function takenBy(changed: Commit[]): string | undefined {
  const events = changed.flatMap((commit) => commit.events);
  const agent = events.findLast((event) => TAKEN.has(event.type))?.agent;
  return typeof agent === 'string' ? agent : undefined;
}

/** Whether the user need not look again before the command is carried out. */
export function isHarmless(changed: Commit[]): boolean {
  // None: only refusals lie between, and they changed nothing.
  return changed.every((commit) => commit.events.every((event) => HARMLESS.has(event.type)));
}
