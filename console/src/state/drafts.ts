// Drafts, one per conversation and mode, kept in the browser until they are sent.

import { remember, remembered } from './prefs';
import { myKey } from './session';

export type Mode = 'reply' | 'note';

const name = (key: string, mode: Mode) => `draft.${myKey()}.${key}.${mode}`;

export const draft = (key: string, mode: Mode): string => remembered(name(key, mode)) ?? '';

export function keepDraft(key: string, mode: Mode, text: string): void {
  remember(name(key, mode), text.trim() === '' ? null : text);
}
