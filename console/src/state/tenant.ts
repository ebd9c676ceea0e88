// What the tenant's settings say that an agent's page needs, and the macros.

import { signal } from '@preact/signals';
import * as http from '../api/http';
import type { EntryContent, SettingsDocument } from '../api/types';
import { can } from './session';

export interface Macro {
  id: string;
  name: string;
  text: string;
}

/** Macros are approved entries of the knowledge base of this category: written, approved and undone as those are. */
export const MACRO_CATEGORY = 'macro';

export const dispositions = signal<string[]>([]);
export const queueNames = signal<string[]>([]);
/** Queue → seconds within which somebody should be served. */
export const targets = signal<Record<string, { percent: number; within_s: number }>>({});
/** IANA name of the time zone in which the tenant's days begin. */
export const timeZone = signal('');
/** Fields that the tenant's customers can be asked for. */
export const collected = signal<string[]>([]);
/** Attributes by which the tenant takes two contacts for one person. */
export const mergedBy = signal<string[]>([]);
export const macros = signal<Macro[]>([]);

interface TenantValue {
  dispositions?: string[];
  queues?: string[];
  time_zone?: string;
  collect?: { field: string }[];
  merge_contacts_by?: string[];
}
interface Rules {
  target?: { percent: number; within_s: number };
}
interface SchedulingValue {
  default?: Rules;
  queues?: Record<string, Rules>;
}

async function documentValue<T>(name: string): Promise<T | null> {
  return ((await http.get<SettingsDocument>(`settings/${name}`)).value as T) ?? null;
}

export async function loadTenant(): Promise<void> {
  if (!can('settings.read')) return;
  try {
    const { items } = await http.get<{ items: string[] }>('settings');
    const tenant = await documentValue<TenantValue>('tenant');
    dispositions.value = tenant?.dispositions ?? [];
    queueNames.value = tenant?.queues ?? [];
    timeZone.value = tenant?.time_zone ?? '';
    collected.value = (tenant?.collect ?? []).map((one) => one.field);
    mergedBy.value = tenant?.merge_contacts_by ?? [];
    if (!items.includes('scheduling')) return;
    const scheduling = await documentValue<SchedulingValue>('scheduling');
    const of = (queue: string) => scheduling?.queues?.[queue]?.target ?? scheduling?.default?.target;
    const found = queueNames.value.flatMap((queue) => {
      const target = of(queue);
      return target ? [[queue, target] as const] : [];
    });
    targets.value = Object.fromEntries(found);
  } catch {
    // Without settings the page works: codes and queues are then typed.
  }
}

export async function loadMacros(): Promise<void> {
  if (!can('entry.read')) return;
  try {
    const entries = await http.everything<{ id: string; status: string; content?: EntryContent }>('entries', {
      category: MACRO_CATEGORY,
      content: true,
    });
    macros.value = entries
      .filter((entry) => entry.status === 'approved' && entry.content)
      .map(({ id, content }) => ({ id, name: content!.question, text: content!.answer }));
  } catch {
    macros.value = [];
  }
}
