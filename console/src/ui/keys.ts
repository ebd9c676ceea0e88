// Keys that work wherever nobody is writing.

import type { Action } from '../model/actions';
import { allowed, start } from '../pages/conversation/actions';
import { currentList } from '../pages/inbox';
import { inList, offers, row as rowOf } from '../state/inbox';
import { go, route } from '../state/route';
import { can } from '../state/session';
import { helpOpen, paletteOpen } from './palette';
import { PLACES } from './shell';

const ACTIONS: Record<string, Action> = {
  a: 'accept',
  x: 'reject',
  r: 'reply',
  n: 'note',
  t: 'transfer',
  z: 'snooze',
  w: 'wrap_up',
  c: 'close',
};
/** Keys that press or focus a part of the open conversation. */
const PARTS: Record<string, string> = { m: 'macro', s: 'adopt', '#': 'tag' };
const GO: Record<string, string> = {
  i: 'inbox',
  s: 'search',
  w: 'wall',
  k: 'knowledge',
  r: 'reports',
  a: 'admin',
};
const CHORD_MS = 1200;

/** Not 0: that is when the page was opened, and the first key after it begins no chord. */
const NEVER = Number.NEGATIVE_INFINITY;
let chordAt = NEVER;

function writes(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}

function move(step: number): void {
  const rows = inList(currentList());
  const at = rows.findIndex((row) => row.key === route.value[2]);
  const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))];
  if (!next) return;
  go('inbox', currentList(), next.key);
  requestAnimationFrame(() =>
    document.querySelector(`[data-row="${next.key}"]`)?.scrollIntoView({ block: 'nearest' }),
  );
}

/** Whether the key meant something. */
function press(key: string): boolean {
  if (performance.now() - chordAt < CHORD_MS) {
    chordAt = NEVER;
    const place = PLACES.find((one) => one.name === GO[key]);
    if (place && can(place.permission)) go(place.name);
    return true;
  }
  if (key === 'g') {
    chordAt = performance.now();
    return true;
  }
  if (key === '?') helpOpen.value = true;
  else if (key === '/') go('search');
  else if (route.value[0] !== 'inbox') return false;
  else if (key === 'j') move(1);
  else if (key === 'k') move(-1);
  else if (key === 'Escape' && route.value[2]) go('inbox', currentList());
  else if (key in PARTS) {
    const part = document.querySelector<HTMLElement>(`[data-key="${PARTS[key]}"]`);
    if (part instanceof HTMLInputElement) part.focus();
    else part?.click();
  } else {
    const action = ACTIONS[key];
    const open = rowOf(route.value[2] ?? '') ?? offers.value[0];
    if (!action || !open || !allowed(open).includes(action)) return false;
    start(action, open);
  }
  return true;
}

export function listenToKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      paletteOpen.value = true;
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]')) return;
    if (writes(event.target)) {
      if (event.key === 'Escape' && event.target instanceof HTMLElement) event.target.blur();
      return;
    }
    if (press(event.key)) event.preventDefault();
  });
}
