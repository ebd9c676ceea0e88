// Agents: the user's own state and slots, and the colleagues'.

import { computed, signal } from '@preact/signals';
import * as http from '../api/http';
import type { AgentState, AgentSummary, QueueFigures, RoutingStatus, Shown } from '../api/types';
import { can, me, myKey } from './session';

/** Agents change together (an offer reserves, occupies, releases): they are read again once, shortly after. */
const REFRESH_MS = 400;

export const own = signal<Shown<AgentState> | null>(null);
export const agents = signal<AgentSummary[]>([]);
export const queues = signal<QueueFigures[]>([]);

let ownTimer: ReturnType<typeof setTimeout> | undefined;
let allTimer: ReturnType<typeof setTimeout> | undefined;

export const status = computed<RoutingStatus>(() => own.value?.state.status ?? 'offline');
export const slotsInUse = computed(() =>
  Object.values(own.value?.state.held ?? {}).reduce((sum, slot) => sum + slot.weight, 0),
);

const names = computed(() => new Map(agents.value.map((agent) => [agent.key, agent.name || agent.id])));

export function nameOf(key: string | null | undefined): string {
  if (!key) return '';
  if (key === myKey()) return me.value?.name || key;
  return names.value.get(key) ?? key;
}

export async function loadOwn(): Promise<void> {
  if (!me.value?.agent) return;
  try {
    const shown = await http.get<Shown<AgentState>>(`agents/${encodeURIComponent(myKey())}`);
    if (!own.value || shown.version >= own.value.version) own.value = shown;
  } catch {
    // It comes again with the agent's next commit.
  }
}

export async function loadAgents(): Promise<void> {
  if (!can('agent.read')) return;
  try {
    agents.value = await http.agents();
  } catch {
    // As above.
  }
}

export async function loadQueues(): Promise<void> {
  try {
    queues.value = (await http.get<{ items: QueueFigures[] }>('queues')).items;
  } catch {
    // The wall asks again in a few seconds.
  }
}

export function agentChanged(key: string): void {
  if (key === myKey() && ownTimer === undefined) {
    ownTimer = setTimeout(() => {
      ownTimer = undefined;
      void loadOwn();
    }, 50);
  }
  if (allTimer !== undefined) return;
  allTimer = setTimeout(() => {
    allTimer = undefined;
    void loadAgents();
  }, REFRESH_MS);
}
