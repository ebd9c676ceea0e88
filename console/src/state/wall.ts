// The wall of an earlier moment, while somebody looks at one.

import { signal } from '@preact/signals';
import * as http from '../api/http';
import type { WallThen } from '../api/types';

/** While the slider is moved, not every place is asked for. */
const SETTLE_MS = 150;
/** Where much of the log has to be read, the server goes on from where it got. */
const AGAIN_MS = 1000;

/** Which moment, in ms; `null`: now. */
export const moment = signal<number | null>(null);
/** How it was; `null`: that is being asked for. */
export const wallThen = signal<WallThen | null>(null);
/** Why that is not known (yet). */
export const trouble = signal('');
/** When the tenant began, in ms, once that is known. */
export const began = signal<number | null>(null);

let timer: ReturnType<typeof setTimeout> | undefined;

/** Looks at a moment, or at now. What was seen last stays until the answer is there. */
export function look(at: number | null): void {
  clearTimeout(timer);
  moment.value = at;
  trouble.value = '';
  if (at === null) wallThen.value = null;
  else timer = setTimeout(() => void ask(at), SETTLE_MS);
}

async function ask(at: number): Promise<void> {
  try {
    const answer = await http.wall(new Date(at).toISOString());
    if (moment.value !== at) return;
    began.value = Date.parse(answer.began);
    wallThen.value = answer;
    trouble.value = '';
  } catch (error) {
    if (moment.value !== at) return;
    wallThen.value = null;
    trouble.value = error instanceof Error ? error.message : String(error);
    if (error instanceof http.ApiError && error.status === 503) {
      timer = setTimeout(() => void ask(at), AGAIN_MS);
    }
  }
}

/** Learns how far back one can look. */
export async function learnBegin(): Promise<void> {
  try {
    began.value ??= Date.parse((await http.wall(undefined, 1)).began);
  } catch {
    // Whoever looks too far back is told.
  }
}
