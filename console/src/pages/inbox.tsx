// The inbox: lists with live counts, the conversations of one of them, and the one that is open.

import { useEffect } from 'preact/hooks';
import type { InboxList } from '../api/types';
import { t, tv } from '../i18n';
import type { Row } from '../model/fold';
import { LISTS } from '../model/lists';
import { counts, inList, listState, loadList, loadMore } from '../state/inbox';
import { linkState, typing, watch } from '../state/link';
import { nameOf } from '../state/people';
import { href, route } from '../state/route';
import { myKey } from '../state/session';
import { leave } from '../state/thread';
import { Icon } from '../ui/icons';
import { Ago, Empty, Initials, Since, Until } from '../ui/parts';
import { ConversationView } from './conversation/view';

export const currentList = (): InboxList => LISTS.find((list) => list === route.value[1]) ?? 'mine';

export function Inbox() {
  const list = currentList();
  const open = route.value[2];
  const connected = linkState.value === 'live';
  useEffect(() => {
    if (connected) void loadList(list);
  }, [list, connected]);
  // Here, and not where a conversation goes: the next one may have come before the one before it has gone.
  useEffect(() => {
    if (open) return;
    leave();
    watch(undefined);
  }, [open]);
  useEffect(() => () => watch(undefined), []);
  return (
    <main class={open ? 'inbox has-open' : 'inbox'}>
      <nav class="folders" aria-label={t('inbox.lists')}>
        <ul>
          {LISTS.map((one) => (
            <li key={one}>
              <a href={href('inbox', one)} class="folder" aria-current={one === list ? 'page' : undefined}>
                <span class="grow">{t(`inbox.${one}`)}</span>
                {one !== 'closed' && <Count of={one} />}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <section class="rows" aria-label={t(`inbox.${list}`)}>
        <Rows list={list} open={open} />
      </section>
      {open ? (
        <ConversationView key={open} conversation={open} list={list} />
      ) : (
        <div class="no-conversation">
          <Empty>{t('inbox.choose')}</Empty>
        </div>
      )}
    </main>
  );
}

function Count({ of }: { of: InboxList }) {
  const count = counts.value?.[of];
  return <span class={count ? 'count' : 'count none'}>{count ?? ''}</span>;
}

function Rows({ list, open }: { list: InboxList; open?: string }) {
  const rows = inList(list);
  const { loading, next } = listState.value;
  return (
    <>
      <h2 class="rows-head">{t(`inbox.${list}`)}</h2>
      {rows.length === 0 && <Empty>{loading ? t('loading') : t(`inbox.${list}.empty`)}</Empty>}
      <ul class="row-list">
        {rows.map((row) => (
          <li key={row.key}>
            <RowView row={row} list={list} current={row.key === open} />
          </li>
        ))}
      </ul>
      {next && (
        <button type="button" class="quiet load-more" disabled={loading} onClick={() => loadMore()}>
          {t('inbox.more')}
        </button>
      )}
    </>
  );
}

function RowView({ row, list, current }: { row: Row; list: InboxList; current: boolean }) {
  const name = row.sender?.name || row.sender?.id || row.thread;
  const writes = (typing.value[row.key] ?? []).includes('customer');
  const said = row.preview?.text ?? '';
  return (
    <a
      href={href('inbox', list, row.key)}
      class={`row phase-row-${row.phase}`}
      data-row={row.key}
      aria-current={current ? 'true' : undefined}
    >
      <Initials name={name} />
      <span class="row-main">
        <span class="row-top">
          <strong class="clip grow">{name}</strong>
          <State row={row} />
        </span>
        <span class="row-preview clip">
          {writes ? (
            <em>{t('typing', { names: name })}</em>
          ) : (
            <>
              {row.preview?.by && <span class="muted">{tv('author', row.preview.by)}: </span>}
              {said || '—'}
            </>
          )}
        </span>
        <span class="row-facts">
          <span>{row.channel}</span>
          {row.queue && <span>{row.queue}</span>}
          {row.agent && row.agent !== myKey() && <span>{nameOf(row.agent)}</span>}
          {(row.tags ?? []).slice(0, 2).map((tag) => (
            <span key={tag} class="tag clip">
              {tag}
            </span>
          ))}
          {row.quarantined && (
            <span class="badge bad">
              <Icon name="warn" /> {t('quarantined')}
            </span>
          )}
        </span>
      </span>
    </a>
  );
}

/** What of its state matters most in a list: how long somebody waits, or when something last happened. */
function State({ row }: { row: Row }) {
  if (row.phase === 'offered' && row.offer?.agent === myKey()) {
    return (
      <span class="badge phase-offered">
        {t('phase.offered')} <Until at={row.offer.deadline} />
      </span>
    );
  }
  if ((row.phase === 'queued' || row.phase === 'offered') && row.waits_since) {
    return (
      <span class="badge phase-queued">
        <Icon name="clock" /> <Since at={row.waits_since} />
      </span>
    );
  }
  if (row.snoozed_until) return <span class="badge phase-snoozed">{t('phase.snoozed')}</span>;
  if (row.phase === 'wrap_up') return <span class="badge phase-wrap_up">{t('phase.wrap_up')}</span>;
  return <Ago at={row.preview?.at ?? row.at} class="muted" />;
}
