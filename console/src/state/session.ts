// Who is signed in.

import { signal } from '@preact/signals';
import * as http from '../api/http';
import type { Me } from '../api/types';
import { remember, remembered } from './prefs';

/** `undefined` until it is known. */
export const me = signal<Me | null | undefined>(undefined);

export function can(permission: string): boolean {
  return me.value?.permissions.includes(permission) === true;
}

/** The key under which conversations know this user. */
export function myKey(): string {
  return me.value?.user ?? '';
}

export async function findSession(): Promise<void> {
  // The provider has just led back here, with a session.
  if (location.hash === '#/signed-in') {
    remember('signed_in', 'yes');
    location.hash = '';
  }
  // Asking without a session is an error in the browser's log, so it is asked only where there should be one.
  if (remembered('signed_in') === null) {
    me.value = null;
    return;
  }
  try {
    me.value = await http.me();
  } catch (error) {
    if (error instanceof http.ApiError && error.status === 401) remember('signed_in', null);
    me.value = null;
  }
}

export async function signIn(tenant: string, user: string, password: string): Promise<void> {
  me.value = await http.signIn(tenant, user, password);
  remember('signed_in', 'yes');
  remember('tenant', tenant);
  remember('user', user);
}

/** Makes the first user, with the code that the server has printed, and signs in as that. */
export async function setUp(code: string, user: string, name: string, password: string): Promise<void> {
  const made = await http.setUp(code, user, name, password);
  me.value = made;
  remember('signed_in', 'yes');
  remember('tenant', made.tenant);
  remember('user', user);
}

export async function signOut(): Promise<void> {
  await http.signOut().catch(() => null);
  forget();
}

export function forget(): void {
  remember('signed_in', null);
  me.value = null;
}
