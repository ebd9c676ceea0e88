// What a user may do with a conversation as it is now. The server decides; this only shows what makes sense.

import type { Row } from './fold';

export type Action =
  | 'accept'
  | 'reject'
  | 'reply'
  | 'note'
  | 'hold'
  | 'resume'
  | 'transfer'
  | 'consult'
  | 'end_consult'
  | 'snooze'
  | 'unsnooze'
  | 'return_to_bot'
  | 'wrap_up'
  | 'close'
  | 'request_handoff'
  | 'join'
  | 'take_over'
  | 'reassign';

export function actionsFor(row: Row, user: string, can: (permission: string) => boolean): Action[] {
  const mine = row.agent === user;
  const actions: Action[] = [];
  const work = can('conversation.work');
  if (work && mine) {
    if (row.phase === 'offered') actions.push('accept', 'reject');
    if (row.phase === 'active') {
      actions.push('reply', 'close', 'wrap_up', 'transfer', row.consult ? 'end_consult' : 'consult');
      actions.push(row.snoozed_until ? 'unsnooze' : 'snooze', row.held ? 'resume' : 'hold', 'return_to_bot');
    }
    if (row.phase === 'wrap_up') actions.push('close', 'resume');
  }
  const open = row.phase !== 'closed';
  if (open && !mine) {
    if (row.consult === user) actions.push('end_consult');
    if (can('conversation.take_over')) actions.push('take_over');
    if (can('conversation.join') && row.phase === 'active' && !row.consult) actions.push('join');
    if (work && row.phase === 'bot') actions.push('request_handoff');
  }
  if (open && row.phase !== 'bot' && can('conversation.assign')) actions.push('reassign');
  if (can('conversation.annotate')) actions.push('note');
  return actions;
}
