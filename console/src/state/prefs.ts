// What this browser remembers of its user's wishes. Nothing here is needed to work: a browser without storage works too.

import { effect, signal } from '@preact/signals';

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`kefu.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`kefu.${name}`);
    else localStorage.setItem(`kefu.${name}`, value);
  } catch {
    // The storage is full or forbidden: the wish holds until the page is closed.
  }
}

export type Theme = 'auto' | 'light' | 'dark';
export type Language = 'en' | 'zh';

function first<T extends string>(wished: string | null, known: readonly T[], otherwise: T): T {
  return known.find((value) => value === wished) ?? otherwise;
}

const spoken: Language = globalThis.navigator?.language.startsWith('zh') ? 'zh' : 'en';

export const theme = signal<Theme>(first(remembered('theme'), ['auto', 'light', 'dark'], 'auto'));
export const language = signal<Language>(first(remembered('language'), ['en', 'zh'], spoken));
export const sound = signal(remembered('sound') !== 'off');

export function applyPrefs(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    remember('theme', theme.value);
  });
  effect(() => {
    document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en';
    remember('language', language.value);
  });
  effect(() => remember('sound', sound.value ? 'on' : 'off'));
}
