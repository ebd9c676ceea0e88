// Where the user is: the part of the address behind `#`, so that the server needs to know one page only.

import { computed, signal } from '@preact/signals';

const hash = signal(location.hash);
addEventListener('hashchange', () => {
  hash.value = location.hash;
});

/** The parts of the address: `#/inbox/mine/abc` is `['inbox', 'mine', 'abc']`. */
export const route = computed(() => {
  const parts = hash.value.replace(/^#\/?/, '').split('/').filter(Boolean).map(decode);
  return parts.length > 0 ? parts : ['inbox', 'mine'];
});

export const page = computed(() => route.value[0] ?? 'inbox');

export function href(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

export function go(...parts: string[]): void {
  location.hash = href(...parts);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
