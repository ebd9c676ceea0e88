// A conversation: its head, its timeline, and where to write.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { day, t } from '../../i18n';
import type { Action } from '../../model/actions';
import type { Row } from '../../model/fold';
import { follows } from '../../model/timeline';
import { fetchRow, row as rowOf } from '../../state/inbox';
import { typing, viewers, watch } from '../../state/link';
import { nameOf } from '../../state/people';
import { go, route } from '../../state/route';
import { myKey } from '../../state/session';
import { loadAll, loadEarlier, moment, open, rowThen, thread, timeline } from '../../state/thread';
import { useDismiss } from '../../ui/dismiss';
import { Icon } from '../../ui/icons';
import { Empty, PhaseBadge } from '../../ui/parts';
import { TimeSlider } from '../../ui/slider';
import { allowed, start } from './actions';
import { Composer } from './composer';
import { CustomerCard } from './customer';
import { ItemView } from './items';
import { Merging } from './merge';
import { OfferBanner } from './offer';
import { Suggestions } from './suggestions';
import { WhyDialog } from './why';

/** Buttons that stand beside the name; the others are in the menu. */
const FIRST: Action[] = ['take_over', 'join', 'transfer', 'snooze', 'unsnooze', 'close'];
const ELSEWHERE: Action[] = ['accept', 'reject', 'reply', 'note'];

export function ConversationView({ conversation, list }: { conversation: string; list: string }) {
  const [card, setCard] = useState(false);
  useEffect(() => {
    void open(conversation);
    watch(conversation);
    if (!rowOf(conversation)) void fetchRow(conversation);
  }, [conversation]);

  const row = rowOf(conversation);
  if (!row) return <Empty>{t('loading')}</Empty>;
  return (
    <>
      <section class={card ? 'conversation behind' : 'conversation'} aria-label={t('conversation')}>
        <Head row={row} list={list} onCard={() => setCard(!card)} card={card} />
        <OfferBanner row={row} />
        <Timeline row={row} />
        {moment.value === null && <Foot row={row} />}
      </section>
      <div class={card ? 'card-column shown' : 'card-column'}>
        <CustomerCard row={moment.value !== null && rowThen.value ? rowThen.value : row} />
      </div>
      <Merging />
    </>
  );
}

function Head({ row, list, card, onCard }: { row: Row; list: string; card: boolean; onCard(): void }) {
  const [menu, setMenu] = useState(false);
  const [why, setWhy] = useState(false);
  const [slider, setSlider] = useState(false);
  // Nothing is done to what was.
  const may = moment.value === null ? allowed(row).filter((action) => !ELSEWHERE.includes(action)) : [];
  const name = row.sender?.name || row.sender?.id || row.thread;
  const others = viewers.value.conversation === row.key ? viewers.value.users : [];
  const shown = moment.value !== null && rowThen.value ? rowThen.value : row;

  useDismiss(menu, () => setMenu(false));

  return (
    <header class="conversation-head">
      <button
        type="button"
        class="icon-button only-narrow"
        aria-label={t('back')}
        onClick={() => go('inbox', list)}
      >
        <Icon name="back" />
      </button>
      <div class="min0 grow">
        <h1 class="clip" title={name}>
          {name}
        </h1>
        <p class="head-facts">
          <PhaseBadge phase={shown.phase} snoozed={!!shown.snoozed_until} held={shown.held} />
          <span>{row.channel}</span>
          {shown.queue && <span>{shown.queue}</span>}
          {shown.agent && shown.agent !== myKey() && <span>{nameOf(shown.agent)}</span>}
          {others.length > 0 && (
            <span class="muted">{t('viewers', { names: others.map(nameOf).join(', ') })}</span>
          )}
        </p>
      </div>
      <div class="head-actions">
        {may
          .filter((action) => FIRST.includes(action))
          .map((action) => (
            <button
              key={action}
              type="button"
              class={action === 'close' ? 'wide-only strong' : 'wide-only'}
              onClick={() => start(action, row)}
            >
              {t(`action.${action}`)}
            </button>
          ))}
        <div class="menu-holder">
          <button
            type="button"
            class="icon-button"
            aria-label={t('more')}
            aria-expanded={menu}
            onClick={(event) => {
              event.stopPropagation();
              setMenu(!menu);
            }}
          >
            <Icon name="more" />
          </button>
          {menu && (
            <div class="menu" role="group" aria-label={t('more')}>
              {may.map((action) => (
                <button
                  key={action}
                  type="button"
                  class={FIRST.includes(action) ? 'narrow-only' : ''}
                  onClick={() => start(action, row)}
                >
                  {t(`action.${action}`)}
                </button>
              ))}
              <button type="button" onClick={() => setWhy(true)}>
                {t('why.link')}
              </button>
              <button
                type="button"
                onClick={() => {
                  setSlider(true);
                  void loadAll();
                }}
              >
                {t('moment.open')}
              </button>
            </div>
          )}
        </div>
        <button
          type="button"
          class="icon-button card-toggle"
          aria-label={t('customer.title')}
          aria-pressed={card}
          onClick={onCard}
        >
          <Icon name="person" />
        </button>
      </div>
      {why && <WhyDialog onClose={() => setWhy(false)} />}
      {slider && <Slider onClose={() => setSlider(false)} />}
    </header>
  );
}

/** Shows the conversation as it was at a moment: after the commit that the slider stands at. */
function Slider({ onClose }: { onClose(): void }) {
  const commits = thread.value?.commits ?? [];
  const last = commits.length - 1;
  const [place, setPlace] = useState(last);
  const at = commits[Math.min(place, last)]?.commit.at;
  useEffect(() => {
    setPlace(commits.length - 1);
  }, [commits.length]);
  useEffect(() => {
    moment.value = place >= last ? null : (at ?? null);
  }, [place, last, at]);
  const close = () => {
    moment.value = null;
    onClose();
  };
  return <TimeSlider place={place} last={last} at={at} onPlace={setPlace} onClose={close} />;
}

/** Where the address names a message, as a hit of a search does, it is looked for and shown. */
function useFound(key: string, stick: { current: boolean }) {
  const wanted = route.value[3];
  const items = timeline.value;
  const { loading, more } = thread.value ?? {};
  const shown = useRef('');
  useEffect(() => {
    if (!wanted || loading || shown.current === wanted) return;
    stick.current = false;
    const found = items.find(
      (item) => item.id === wanted || (item.kind === 'message' && item.message === wanted),
    );
    if (!found) {
      if (more) void loadEarlier();
      else stick.current = true;
      return;
    }
    shown.current = wanted;
    const element = document.querySelector(`[data-id="${found.id}"]`);
    element?.classList.add('found');
    element?.scrollIntoView({ block: 'center' });
  }, [key, wanted, items, loading, more]);
}

/** How near to the end one must be to be taken along when something is added, in pixels. */
const NEAR = 120;

function Timeline({ row }: { row: Row }) {
  const scroller = useRef<HTMLDivElement>(null);
  const stick = useRef(true);
  const items = timeline.value;
  const customer = row.sender?.name || row.sender?.id || row.thread;

  useEffect(() => {
    stick.current = true;
  }, [row.key]);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && stick.current) box.scrollTop = box.scrollHeight;
  }, [items, row.key]);

  // Suggestions and pictures come later and take room: whoever was at the end stays there.
  useEffect(() => {
    const box = scroller.current;
    const content = box?.querySelector('ol');
    if (!box || !content) return;
    const observer = new ResizeObserver(() => {
      if (stick.current) box.scrollTop = box.scrollHeight;
    });
    observer.observe(box);
    observer.observe(content);
    return () => observer.disconnect();
  }, [row.key]);

  useFound(row.key, stick);

  let shownDay = '';
  return (
    <div
      class="timeline"
      ref={scroller}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard.
      tabIndex={0}
      role="log"
      aria-label={t('timeline')}
      onScroll={(event) => {
        const box = event.currentTarget;
        stick.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
      }}
    >
      {thread.value?.more && (
        <button
          type="button"
          class="quiet load-earlier"
          onClick={() => {
            stick.current = false;
            void loadEarlier();
          }}
        >
          {t('timeline.earlier')}
        </button>
      )}
      <ol>
        {items.map((item, index) => {
          const today = day(item.at);
          const isNew = today !== shownDay;
          shownDay = today;
          return [
            isNew && (
              <li key={`day ${item.id}`} class="day">
                <span>{today}</span>
              </li>
            ),
            <ItemView
              key={item.id}
              item={item}
              customer={customer}
              follows={!isNew && follows(item, items[index - 1])}
            />,
          ];
        })}
      </ol>
      {thread.value?.loading && <Empty>{t('loading')}</Empty>}
    </div>
  );
}

function Foot({ row }: { row: Row }) {
  const writing = (typing.value[row.key] ?? []).map((user) =>
    user === 'customer' ? row.sender?.name || t('customer') : nameOf(user),
  );
  return (
    <>
      <p class="typing" aria-live="polite">
        {writing.length > 0 ? t('typing', { names: writing.join(', ') }) : ''}
      </p>
      <Suggestions row={row} />
      <Composer row={row} />
    </>
  );
}
