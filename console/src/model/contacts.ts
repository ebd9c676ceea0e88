// What becomes of two contacts that are one person, and who may be meant by a few words.

import type { Contact, ContactDetails, ContactSummary } from '../api/types';

export const nameOfContact = (details: ContactDetails, key: string): string =>
  details.name || details.identities?.[0]?.id || key;

/** Something of a contact, and whether it comes from the one that goes. */
export interface Piece<T> {
  value: T;
  isNew: boolean;
}

export interface Merged {
  name: Piece<string>;
  identities: Piece<{ channel: string; id: string }>[];
  /** `instead`: what the one that goes has under this name, which is not seen any more. */
  attributes: Piece<{ name: string; value: unknown; instead?: unknown }>[];
  tags: Piece<string>[];
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** As the engine does it: what stays has the first word, and what goes adds what it alone knows. */
export function merged(stays: Contact, goes: Contact): Merged {
  const [first, second] = [stays.details, goes.details];
  const identities = first.identities ?? [];
  const added = (second.identities ?? []).filter(
    (one) => !identities.some((other) => other.channel === one.channel && other.id === one.id),
  );
  const known = first.attributes ?? {};
  const more = second.attributes ?? {};
  const kept = Object.entries(known).map(([name, value]) => {
    const differs = name in more && !same(more[name], value);
    return { value: { name, value, ...(differs && { instead: more[name] }) }, isNew: false };
  });
  const news = Object.entries(more).filter(([name]) => !(name in known));
  const tags = first.tags ?? [];
  const old = <T>(value: T): Piece<T> => ({ value, isNew: false });
  const fresh = <T>(value: T): Piece<T> => ({ value, isNew: true });
  return {
    name: first.name ? old(first.name) : { value: nameOfContact(second, goes.key), isNew: !!second.name },
    identities: [...identities.map(old), ...added.map(fresh)],
    attributes: [...kept, ...news.map(([name, value]) => fresh({ name, value }))],
    tags: [...tags.map(old), ...(second.tags ?? []).filter((tag) => !tags.includes(tag)).map(fresh)],
  };
}

/** The one of two that is better kept: who has been known for longer. */
export function older(a: Contact, b: Contact): Contact {
  const [since, other] = [a.state.first_seen ?? a.at, b.state.first_seen ?? b.at];
  return Date.parse(other) < Date.parse(since) ? b : a;
}

/** Whether all of the words are somewhere in what is known of a contact. */
export function isMeant(contact: ContactSummary, words: string): boolean {
  const identities = (contact.identities ?? []).flatMap(({ channel, id }) => [id, `${channel}:${id}`]);
  const values = Object.values(contact.attributes ?? {}).map(String);
  const all = [contact.name ?? '', contact.key, ...identities, ...values, ...(contact.tags ?? [])]
    .join('\n')
    .toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** Attributes with values that can name a person, as two contacts may share them. */
export function namesOf(details: ContactDetails, most: number): [string, string][] {
  return Object.entries(details.attributes ?? {})
    .filter(([, value]) => (typeof value === 'string' && value.trim() !== '') || typeof value === 'number')
    .slice(0, most)
    .map(([name, value]) => [name, String(value)]);
}
