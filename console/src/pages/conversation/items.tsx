// The items of a timeline: messages, notes, what the bot did, offers, and lines about the rest.

import { useState } from 'preact/hooks';
import type { Actor } from '../../api/types';
import { clockTime, dateTime, percent, t, tv } from '../../i18n';
import type { AnswerItem, Item, MessageItem, NoteItem, OfferItem, SystemItem } from '../../model/timeline';
import { nameOf } from '../../state/people';
import { Boundary } from '../../ui/boundary';
import { ContentView } from '../../ui/content';
import { Icon } from '../../ui/icons';
import { Until } from '../../ui/parts';
import { DecisionView } from './why';

interface Props {
  item: Item;
  customer: string;
  /** The author's name stands above already. */
  follows: boolean;
}

export function ItemView(props: Props) {
  const { item } = props;
  return (
    <li class={`item item-${item.kind}`} data-id={item.id}>
      <Boundary of={`item ${item.id}`}>
        <Inner {...props} />
      </Boundary>
    </li>
  );
}

function Inner({ item, customer, follows }: Props) {
  switch (item.kind) {
    case 'message':
      return <Message item={item} customer={customer} follows={follows} />;
    case 'note':
      return <Note item={item} />;
    case 'answer':
      return <Answer item={item} />;
    case 'offer':
      return <Offer item={item} />;
    case 'system':
      return <Line item={item} />;
  }
}

function Time({ at }: { at: string }) {
  return (
    <time dateTime={at} title={dateTime(at)}>
      {clockTime(at)}
    </time>
  );
}

function Message({ item, customer, follows }: { item: MessageItem; customer: string; follows: boolean }) {
  const [history, setHistory] = useState(false);
  const name =
    item.from === 'customer' ? customer : item.name || nameOf(item.author) || tv('author', item.from);
  return (
    <article class={`message from-${item.from}`}>
      <header>
        <strong class={follows ? 'unseen' : 'clip'} title={name}>
          {name}
        </strong>
        {item.from !== 'customer' && item.from !== 'agent' && item.name && (
          <span class="muted">{tv('author', item.from)}</span>
        )}
        <Time at={item.at} />
        {item.late && <span class="badge">{t('message.late')}</span>}
        {item.before.length > 0 && (
          <button type="button" class="link" aria-expanded={history} onClick={() => setHistory(!history)}>
            {t('message.edited')}
          </button>
        )}
        <Delivery item={item} />
      </header>
      <div class="bubble">
        <ContentView content={item.content} />
      </div>
      {history && (
        <ol class="earlier">
          {item.before.map((text, index) => (
            <li key={index}>{text}</li>
          ))}
        </ol>
      )}
    </article>
  );
}

function Delivery({ item }: { item: MessageItem }) {
  if (!item.delivery) return null;
  const { state, detail } = item.delivery;
  const label = tv('delivery', state);
  return (
    <span class={`delivery delivery-${state}`} title={detail ? `${label}: ${detail}` : label}>
      <Icon name={state === 'failed' ? 'warn' : state === 'sent' ? 'check' : 'checks'} />
      <span class={state === 'failed' ? '' : 'unseen'}>{detail ? `${label}: ${detail}` : label}</span>
    </span>
  );
}

function Note({ item }: { item: NoteItem }) {
  return (
    <article class="note">
      <header>
        <Icon name="note" />
        <strong>{nameOf(item.by)}</strong>
        <span class="muted">{t('note.internal')}</span>
        <Time at={item.at} />
      </header>
      <p class="text">{item.text}</p>
    </article>
  );
}

function Answer({ item }: { item: AnswerItem }) {
  return (
    <details class={`bot bot-${item.outcome}`}>
      <summary>
        <Icon name="bot" />
        <span>{tv('answer', item.outcome)}</span>
        {item.confidence !== undefined && item.confidence !== null && (
          <span class="badge">{t('answer.confidence', { share: percent(item.confidence) })}</span>
        )}
        {item.reason && <span class="muted">{tv('noAnswer', item.reason)}</span>}
        {item.helpful !== undefined && (
          <span class="badge">{item.helpful ? t('answer.helped') : t('answer.notHelped')}</span>
        )}
        <Time at={item.at} />
      </summary>
      <div class="bot-body">
        <p>
          <span class="muted">{t('answer.question')}</span> {item.question}
        </p>
        {item.sources.map((source) => (
          <p key={source.entry}>
            <span class="muted">{t('answer.source')}</span> <code>{source.entry}</code>
            {source.entry_version ? ` v${source.entry_version}` : ''}
            {source.score ? ` · ${percent(source.score)}` : ''}
          </p>
        ))}
        {item.choices.map((choice) => (
          <p key={choice.entry}>
            <span class="muted">{t('answer.choice')}</span> {choice.question}
          </p>
        ))}
      </div>
    </details>
  );
}

function Offer({ item }: { item: OfferItem }) {
  const words = t(`offer.${item.outcome}`, { agent: nameOf(item.agent) });
  return (
    <div class="line">
      <span>{words}</span>
      {item.outcome === 'open' && <Until at={item.deadline} />}
      {item.reason && <span class="muted">{tv('rescind', item.reason)}</span>}
      {item.decision && <DecisionView decision={item.decision} />}
      <Time at={item.at} />
    </div>
  );
}

function who(actor: Actor): string {
  return actor.kind === 'agent' ? nameOf(actor.id) : tv('actor', actor.kind);
}

/** The words for an event, filled with what it says. */
function words({ type, event, actor }: SystemItem): string {
  const text = (name: string) => String(event[name] ?? '');
  switch (type) {
    case 'session_opened':
      return t('event.session_opened', { session: text('session'), channel: text('channel') });
    case 'queued':
      return event.agent
        ? t('event.queued_for', { queue: text('queue'), agent: nameOf(text('agent')) })
        : t('event.queued', { queue: text('queue') });
    case 'transferred': {
      const target = event.to as { agent?: string; queue?: string };
      const goal = target.agent ? nameOf(target.agent) : (target.queue ?? '');
      return t('event.transferred', { from: nameOf(text('from')), to: goal });
    }
    case 'snoozed':
      return t('event.snoozed', { until: dateTime(text('until')) });
    case 'tagged':
    case 'untagged':
      return t(`event.${type}`, { who: who(actor), tags: (event.tags as string[]).join(', ') });
    case 'handoff_requested':
      return t('event.handoff_requested', { reason: tv('handoff', text('reason')) });
    case 'session_closed':
      return t('event.session_closed', { session: text('session'), reason: tv('closed', text('reason')) });
    case 'information_collected':
      return event.value
        ? t('event.information_collected', { field: text('field'), value: text('value') })
        : t('event.information_missing', { field: text('field') });
    case 'taken_over':
      return t('event.taken_over', { agent: nameOf(text('agent')) });
    case 'consult_started':
      if (event.joined) return t('event.joined', { agent: nameOf(text('with')) });
      return t('event.consult_started', { agent: nameOf(text('agent')), with: nameOf(text('with')) });
    case 'consult_ended':
      return t('event.consult_ended', { with: nameOf(text('with')) });
    default: {
      const given = Object.fromEntries(Object.entries(event).map(([name, value]) => [name, String(value)]));
      const said = tv('event', type);
      return said.replace(/\{(\w+)\}/g, (_, name: string) =>
        name === 'who' ? who(actor) : name === 'agent' ? nameOf(text('agent')) : (given[name] ?? ''),
      );
    }
  }
}

const NOTED = ['transferred', 'handoff_requested', 'consult_started', 'disposition_set'];

function Line({ item }: { item: SystemItem }) {
  const extra = NOTED.includes(item.type)
    ? item.event.note
    : item.type === 'satisfaction_rated'
      ? item.event.comment
      : null;
  return (
    <div class={item.type === 'session_opened' ? 'line line-session' : 'line'}>
      <span>{words(item)}</span>
      <Time at={item.at} />
      {typeof extra === 'string' && extra && <p class="line-note text">{extra}</p>}
    </div>
  );
}
