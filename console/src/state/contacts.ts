// Contacts: looked up, found, merged and separated.

import * as http from '../api/http';
import type { Contact, ContactSummary, Page } from '../api/types';
import { t } from '../i18n';
import { isMeant, namesOf } from '../model/contacts';
import { mergedBy } from './tenant';

/** Contacts that are looked through for words, at most: for everybody else there are attributes. */
export const MAX_LOOKED_AT = 2000;
const PAGE = 500;
const MAX_FOUND = 20;
const MAX_ATTRIBUTES = 8;
/** Attributes that are asked for whether or not anybody is known to have them. */
const USUAL = ['email', 'phone'];
/** Both sides of a merge are told within milliseconds; this is for when they are not. */
const PATIENCE_MS = 5000;
const PAUSE_MS = 150;

const pathOf = (key: string) => `contacts/${encodeURIComponent(key)}`;
const one = (key: string) => http.get<Contact>(pathOf(key));

/** The contact of this key, or the one that it is part of. */
export async function personOf(key: string): Promise<Contact> {
  const contact = await one(key);
  const into = contact.state.part_of?.into;
  return into ? one(into) : contact;
}

export interface Found {
  items: ContactSummary[];
  /** Whether there may be more that were not looked at. */
  more: boolean;
}

const isOther = (person: Contact) => (found: ContactSummary) =>
  !found.part_of &&
  found.key !== person.key &&
  !(person.state.absorbed ?? []).some((absorbed) => absorbed.from === found.key);

async function byAttributes(pairs: [string, string][]): Promise<ContactSummary[]> {
  const pages = await Promise.all(
    pairs.map(([attribute, value]) =>
      http.get<Page<ContactSummary>>('contacts', { attribute, value, limit: MAX_FOUND }),
    ),
  );
  return pages.flatMap((page) => page.items);
}

function distinct(all: ContactSummary[]): ContactSummary[] {
  return [...new Map(all.map((contact) => [contact.key, contact])).values()].slice(0, MAX_FOUND);
}

/** Those with whom this one shares an attribute's value: perhaps the same person. */
export async function alike(person: Contact): Promise<ContactSummary[]> {
  const found = await byAttributes(namesOf(person.details, MAX_ATTRIBUTES));
  return distinct(found.filter(isOther(person)));
}

/** Those who are meant by these words: a whole value of an attribute, or anything of the first contacts that there are. */
export async function find(words: string, person: Contact): Promise<Found> {
  const names = new Set([...mergedBy.value, ...USUAL, ...Object.keys(person.details.attributes ?? {})]);
  const known = [...names].slice(0, MAX_ATTRIBUTES).map((name): [string, string] => [name, words]);
  const all = (await byAttributes(known)).filter(isOther(person));
  let [looked, after, more] = [0, undefined as string | undefined, true];
  while (more && looked < MAX_LOOKED_AT && all.length < MAX_FOUND) {
    const page: Page<ContactSummary> = await http.get('contacts', { after, limit: PAGE });
    all.push(...page.items.filter((contact) => isOther(person)(contact) && isMeant(contact, words)));
    looked += page.items.length;
    after = page.next ?? undefined;
    more = after !== undefined;
  }
  return { items: distinct(all), more };
}

/** Asks a contact, and gives back what was wrong. */
async function ask(key: string, type: string, fields = {}): Promise<string> {
  const { ok, refusal } = await http.commandOver(pathOf(key), { type, ...fields });
  return ok ? '' : (refusal?.message ?? '');
}

export async function merge(goes: string, stays: string): Promise<string> {
  const wrong = await ask(goes, 'merge', { into: stays });
  if (wrong) return wrong;
  if (await until(stays, goes, true)) return '';
  // It may have been declined by the one that stays; else it comes about as soon as that one can be asked.
  return t((await one(goes)).state.part_of ? 'merge.slow' : 'merge.declined');
}

export async function separate(key: string, from: string): Promise<string> {
  const wrong = await ask(key, 'unmerge');
  if (!wrong) await until(from, key, false);
  return wrong;
}

/** Waits until the contact that stays has heard of it. */
async function until(key: string, other: string, has: boolean): Promise<boolean> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const { absorbed = [] } = (await one(key)).state;
    if (absorbed.some(({ from }) => from === other) === has) return true;
    await new Promise((resume) => setTimeout(resume, PAUSE_MS));
  }
  return false;
}

export const contactOf = one;
