// Merging: the other contact is found, both are laid over one another, and only then it is done.

import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { Contact, ContactSummary } from '../../api/types';
import { day, t } from '../../i18n';
import { merged, nameOfContact, older, type Piece } from '../../model/contacts';
import { alike, contactOf, type Found, find, MAX_LOOKED_AT, merge } from '../../state/contacts';
import { tell } from '../../state/toasts';
import { Dialog } from '../../ui/dialog';
import { Empty, Field } from '../../ui/parts';

/** Whom another contact is merged with. Drawn beside the card and not in it, which a narrow screen may hide meanwhile. */
export const merging = signal<{ person: Contact; onMerged(): void } | null>(null);

export function Merging() {
  const asked = merging.value;
  // Whoever leaves the page has left this too.
  useEffect(
    () => () => {
      merging.value = null;
    },
    [],
  );
  if (!asked) return null;
  return <MergeDialog {...asked} onClose={() => (merging.value = null)} />;
}

interface Props {
  person: Contact;
  onClose(): void;
  onMerged(): void;
}

function MergeDialog({ person, onClose, onMerged }: Props) {
  const [other, setOther] = useState<Contact | null>(null);
  const [failed, setFailed] = useState('');
  const fail = (error: unknown) => setFailed(error instanceof Error ? error.message : String(error));
  const choose = (key: string) => {
    setFailed('');
    contactOf(key).then(setOther, fail);
  };
  return (
    <Dialog title={t('merge.title')} onClose={onClose}>
      {other ? (
        <Preview
          pair={[person, other]}
          onBack={() => setOther(null)}
          onFailed={fail}
          onDone={() => {
            tell(t('merge.done'));
            onClose();
            onMerged();
          }}
        />
      ) : (
        <Search person={person} onChoose={choose} onFailed={fail} />
      )}
      <p class="form-error" role="alert">
        {failed}
      </p>
    </Dialog>
  );
}

interface SearchProps {
  person: Contact;
  onChoose(key: string): void;
  onFailed(error: unknown): void;
}

function Search({ person, onChoose, onFailed }: SearchProps) {
  const [similar, setSimilar] = useState<ContactSummary[]>([]);
  const [found, setFound] = useState<Found | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    alike(person).then(setSimilar, onFailed);
  }, []);

  async function search(event: SubmitEvent) {
    event.preventDefault();
    const words = String(new FormData(event.currentTarget as HTMLFormElement).get('words') ?? '').trim();
    if (!words) return;
    setBusy(true);
    try {
      setFound(await find(words, person));
    } catch (error) {
      onFailed(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <p class="merge-lead">{t('merge.lead', { name: nameOfContact(person.details, person.key) })}</p>
      <form class="form-row" role="search" onSubmit={search}>
        <div class="grow">
          <Field label={t('merge.words')}>
            <input type="search" name="words" required data-first autocomplete="off" />
          </Field>
        </div>
        <button type="submit" disabled={busy}>
          {t('search.do')}
        </button>
      </form>
      <p class="hint">{t('merge.wordsHint')}</p>
      <div aria-live="polite">
        {busy && <Empty>{t('loading')}</Empty>}
        {found && !busy && (
          <>
            {found.items.length === 0 && <p class="muted">{t('merge.none')}</p>}
            <Choices items={found.items} onChoose={onChoose} />
            {found.more && <p class="hint">{t('merge.more', { n: MAX_LOOKED_AT })}</p>}
          </>
        )}
      </div>
      {!found && similar.length > 0 && (
        <>
          <h3>{t('merge.similar')}</h3>
          <Choices items={similar} onChoose={onChoose} />
        </>
      )}
    </>
  );
}

function Choices({ items, onChoose }: { items: ContactSummary[]; onChoose(key: string): void }) {
  return (
    <ul class="contact-choices">
      {items.map((contact) => (
        <li key={contact.key}>
          <button type="button" onClick={() => onChoose(contact.key)}>
            <strong>{nameOfContact(contact, contact.key)}</strong>
            <span class="muted">
              {(contact.identities ?? []).map(({ channel, id }) => `${channel}:${id}`).join(', ')}
            </span>
            <span class="muted">
              {Object.entries(contact.attributes ?? {})
                .map(([name, value]) => `${name} ${String(value)}`)
                .join(' · ')}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

interface PreviewProps {
  pair: [Contact, Contact];
  onBack(): void;
  onDone(): void;
  onFailed(error: unknown): void;
}

function Preview({ pair, onBack, onDone, onFailed }: PreviewProps) {
  const [stays, setStays] = useState(older(...pair));
  const [busy, setBusy] = useState(false);
  const goes = pair[0] === stays ? pair[1] : pair[0];
  const name = (contact: Contact) => nameOfContact(contact.details, contact.key);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      const wrong = await merge(goes.key, stays.key);
      if (!wrong) return onDone();
      onFailed(wrong);
    } catch (error) {
      onFailed(error);
    }
    setBusy(false);
  }

  return (
    <form onSubmit={submit}>
      <fieldset class="choices">
        <legend>{t('merge.stays')}</legend>
        {pair.map((contact, index) => (
          <label key={contact.key}>
            <input
              type="radio"
              name="stays"
              checked={contact === stays}
              data-first={contact === stays || undefined}
              onChange={() => setStays(contact)}
            />
            <span class="min0">
              {name(contact)}{' '}
              <span class="muted">
                {t(index === 0 ? 'merge.this' : 'merge.other')}
                {contact.state.first_seen &&
                  ` · ${t('customer.since', { day: day(contact.state.first_seen) })}`}
              </span>
            </span>
          </label>
        ))}
      </fieldset>
      <h3>{t('merge.result')}</h3>
      <Result stays={stays} goes={goes} />
      <p class="hint">{t('merge.hint')}</p>
      <div class="buttons">
        <button type="button" onClick={onBack}>
          {t('back')}
        </button>
        <button type="submit" class="primary" disabled={busy}>
          {t('merge.do')}
        </button>
      </div>
    </form>
  );
}

function Result({ stays, goes }: { stays: Contact; goes: Contact }) {
  const { name, identities, attributes, tags } = merged(stays, goes);
  const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return (
    <dl class="facts merge-result">
      <div>
        <dt>{t('merge.name')}</dt>
        <dd>
          {name.value} <New of={name} />
        </dd>
      </div>
      <div>
        <dt>{t('merge.identities')}</dt>
        <dd>
          {identities.map((piece) => (
            <span key={piece.value.channel + piece.value.id} class="merge-piece">
              {piece.value.channel}:{piece.value.id} <New of={piece} />
            </span>
          ))}
        </dd>
      </div>
      {attributes.map((piece) => (
        <div key={piece.value.name}>
          <dt>{piece.value.name}</dt>
          <dd>
            {shown(piece.value.value)} <New of={piece} />
            {'instead' in piece.value && (
              <span class="muted merge-piece">
                {t('merge.instead', { value: shown(piece.value.instead) })}
              </span>
            )}
          </dd>
        </div>
      ))}
      {tags.length > 0 && (
        <div>
          <dt>{t('tags')}</dt>
          <dd>
            {tags.map((piece) => (
              <span key={piece.value} class="merge-piece">
                {piece.value} <New of={piece} />
              </span>
            ))}
          </dd>
        </div>
      )}
    </dl>
  );
}

function New({ of }: { of: Piece<unknown> }) {
  return of.isNew ? <span class="badge phase-active">{t('merge.new')}</span> : null;
}
