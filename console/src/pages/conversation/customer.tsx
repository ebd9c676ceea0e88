// The customer's card: who it is, what is known, and earlier sessions.

import { useState } from 'preact/hooks';
import { t, tv } from '../../i18n';
import type { Row } from '../../model/fold';
import { act } from '../../state/link';
import { nameOf } from '../../state/people';
import { can } from '../../state/session';
import { thread, timeline } from '../../state/thread';
import { Facts } from '../../ui/content';
import { Icon } from '../../ui/icons';
import { Ago, Initials, Since, Until } from '../../ui/parts';
import { ContactSection } from './contact';

export function CustomerCard({ row }: { row: Row }) {
  const contactKey = thread.value?.commits.findLast(({ commit }) => commit.contact)?.commit.contact;
  const name = row.sender?.name || row.sender?.id || row.thread;
  return (
    <aside class="customer" aria-label={t('customer.title')}>
      <header class="customer-head">
        <Initials name={name} />
        <div class="min0">
          <h2 class="clip" title={name}>
            {name}
          </h2>
          <p class="muted clip" title={row.sender?.id}>
            {row.channel} · {row.sender?.id}
          </p>
        </div>
      </header>

      <section>
        <h3>{t('customer.session', { n: row.session })}</h3>
        <dl class="facts">
          {row.queue && <Fact name={t('queue')} value={row.queue} />}
          {row.agent && <Fact name={t('agent')} value={nameOf(row.agent)} />}
          {row.consult && <Fact name={t('customer.consult')} value={nameOf(row.consult)} />}
          {row.language && <Fact name={t('customer.language')} value={row.language} />}
          {!!row.priority && <Fact name={t('customer.priority')} value={String(row.priority)} />}
          {row.disposition && <Fact name={t('customer.disposition')} value={row.disposition} />}
          {row.waits_since && (
            <div>
              <dt>{t('customer.waits')}</dt>
              <dd>
                <Since at={row.waits_since} />
              </dd>
            </div>
          )}
          {row.wrap_up_until && (
            <div>
              <dt>{t('customer.wrapUp')}</dt>
              <dd>
                <Until at={row.wrap_up_until} />
              </dd>
            </div>
          )}
        </dl>
        {Object.keys(row.collected ?? {}).length > 0 && <Facts fields={row.collected ?? {}} />}
      </section>

      <Tags row={row} />

      {contactKey && <ContactSection key={contactKey} of={contactKey} />}
      <Sessions />
    </aside>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Tags({ row }: { row: Row }) {
  const may = can('conversation.annotate');
  const [text, setText] = useState('');
  return (
    <section>
      <h3>{t('tags')}</h3>
      <ul class="tags">
        {(row.tags ?? []).map((tag) => (
          <li key={tag} class="tag">
            <span class="clip">{tag}</span>
            {may && (
              <button
                type="button"
                aria-label={t('tags.remove', { tag })}
                onClick={() => act(row.key, { type: 'untag', tags: [tag] })}
              >
                <Icon name="close" />
              </button>
            )}
          </li>
        ))}
        {may && (
          <li>
            <form
              onSubmit={(event) => {
                event.preventDefault();
                const tags = text
                  .split(/[,，]/)
                  .map((tag) => tag.trim())
                  .filter(Boolean);
                if (tags.length > 0) void act(row.key, { type: 'tag', tags });
                setText('');
              }}
            >
              <input
                class="tag-input"
                value={text}
                aria-label={t('tags.add')}
                placeholder={t('tags.add')}
                data-key="tag"
                onInput={(event) => setText(event.currentTarget.value)}
              />
            </form>
          </li>
        )}
      </ul>
    </section>
  );
}

/** The sessions that the loaded part of the timeline shows. */
function Sessions() {
  const ends = timeline.value.flatMap((item) =>
    item.kind === 'system' && item.type === 'session_closed' ? [item] : [],
  );
  if (ends.length === 0) return null;
  return (
    <section>
      <h3>{t('customer.earlier')}</h3>
      <ul class="plain">
        {ends.toReversed().map((item) => (
          <li key={item.id}>
            <button
              type="button"
              class="link"
              onClick={() =>
                document.querySelector(`[data-id="${item.id}"]`)?.scrollIntoView({ block: 'center' })
              }
            >
              {t('customer.session', { n: String(item.event.session) })}
            </button>{' '}
            <span class="muted">
              {tv('closed', String(item.event.reason))} · <Ago at={item.at} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
