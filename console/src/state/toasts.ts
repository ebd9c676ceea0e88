// Short messages to the user about what has just happened.

import { signal } from '@preact/signals';

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'bad';
}

const SHOWN_MS = 7000;
const MAX_SHOWN = 4;
let last = 0;

export const toasts = signal<Toast[]>([]);

export function tell(text: string, tone: Toast['tone'] = 'plain'): void {
  last += 1;
  const toast = { id: last, text, tone };
  toasts.value = [...toasts.value.slice(1 - MAX_SHOWN), toast];
  setTimeout(() => dismiss(toast.id), SHOWN_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function tellError(error: unknown): void {
  tell(error instanceof Error ? error.message : String(error), 'bad');
}
