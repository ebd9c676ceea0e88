import { describe, expect, it } from 'vitest';
import { type Dictionary, dictionaries, fill } from '../src/i18n';
import { en } from '../src/i18n/en';

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

describe.each(Object.entries(dictionaries))('the words in %s', (language, words: Dictionary) => {
  it('are there for every key, and for no other', () => {
    expect(Object.keys(words).sort()).toEqual(Object.keys(en).sort());
    expect(Object.entries(words).filter(([, text]) => text.trim() === '')).toEqual([]);
  });
  it('have the same placeholders as in English', () => {
    for (const [key, text] of Object.entries(en)) {
      expect(placeholders(words[key as keyof Dictionary]), `${language} ${key}`).toEqual(placeholders(text));
    }
  });
});

it('Chinese is Chinese', () => {
  const same = Object.entries(dictionaries.zh).filter(([key, text]) => text === en[key as keyof Dictionary]);
  expect(same.map(([key]) => key)).toEqual(['actor.system']);
});

it('fills what is given, and leaves the rest', () => {
  expect(fill('{a} of {b}', { a: 1 })).toBe('1 of {b}');
});
