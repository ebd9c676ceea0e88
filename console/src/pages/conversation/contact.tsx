// What is known of the person across channels; contacts that are the same person are merged here, and separated.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Contact } from '../../api/types';
import { day, t } from '../../i18n';
import { nameOfContact } from '../../model/contacts';
import { personOf, separate } from '../../state/contacts';
import { can } from '../../state/session';
import { tell, tellError } from '../../state/toasts';
import { Facts } from '../../ui/content';
import { merging } from './merge';

export function ContactSection({ of }: { of: string }) {
  const [person, setPerson] = useState<Contact | null>(null);
  // What is asked for later may be answered earlier.
  const asked = useRef(0);
  const load = () => {
    asked.current += 1;
    const mine = asked.current;
    personOf(of).then(
      (found) => mine === asked.current && setPerson(found),
      () => {
        // The contact's own commits may come a moment after the conversation's.
      },
    );
  };
  useEffect(() => {
    if (can('contact.read')) load();
    return () => {
      asked.current += 1;
    };
  }, [of]);
  if (!person) return null;
  const { details, state } = person;
  return (
    <section aria-label={t('customer.about')}>
      <h3>{t('customer.about')}</h3>
      {person.key !== of && <p>{t('merge.partOf', { name: nameOfContact(details, person.key) })}</p>}
      {(details.identities ?? []).length > 0 && (
        <ul class="plain">
          {details.identities!.map((identity) => (
            <li key={identity.channel + identity.id} class="clip" title={identity.id}>
              <span class="muted">{identity.channel}</span> {identity.id}
            </li>
          ))}
        </ul>
      )}
      {Object.keys(details.attributes ?? {}).length > 0 && <Facts fields={details.attributes ?? {}} />}
      {state.first_seen && <p class="muted">{t('customer.since', { day: day(state.first_seen) })}</p>}
      <Parts person={person} onChange={load} />
      {can('contact.edit') && (
        <button
          type="button"
          class="contact-merge"
          onClick={() => (merging.value = { person, onMerged: load })}
        >
          {t('merge.open')}
        </button>
      )}
    </section>
  );
}

/** The contacts that are part of this one, and the way back. */
function Parts({ person, onChange }: { person: Contact; onChange(): void }) {
  const [asking, setAsking] = useState('');
  const [busy, setBusy] = useState(false);
  const absorbed = person.state.absorbed ?? [];
  if (absorbed.length === 0) return null;

  async function undo(key: string) {
    setBusy(true);
    try {
      const wrong = await separate(key, person.key);
      tell(wrong || t('merge.separated'), wrong ? 'bad' : undefined);
      setAsking('');
      onChange();
    } catch (error) {
      tellError(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <h4 class="contact-parts">{t('merge.parts')}</h4>
      <ul class="plain">
        {absorbed.map(({ from, details }) => {
          const name = nameOfContact(details, from);
          return (
            <li key={from}>
              <span class="contact-part">{name}</span>{' '}
              {can('contact.edit') && asking !== from && (
                <button
                  type="button"
                  class="link"
                  aria-label={t('merge.separateOf', { name })}
                  onClick={() => setAsking(from)}
                >
                  {t('merge.separate')}
                </button>
              )}
              {asking === from && (
                <div role="group" aria-label={t('merge.separateOf', { name })}>
                  <p>{t('merge.separateHint')}</p>
                  <span class="inline-links">
                    <button type="button" disabled={busy} ref={focus} onClick={() => undo(from)}>
                      {t('merge.separate')}
                    </button>
                    <button type="button" class="quiet" onClick={() => setAsking('')}>
                      {t('cancel')}
                    </button>
                  </span>
                </div>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}

/** Stable, so that it is called once, when the button comes. */
const focus = (button: HTMLButtonElement | null) => button?.focus();
