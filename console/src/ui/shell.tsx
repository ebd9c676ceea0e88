// What stands around every page: where one can go, one's own state, and offers wherever one is.

import { useEffect, useState } from 'preact/hooks';
import type { RoutingStatus } from '../api/types';
import { t, tv } from '../i18n';
import { start } from '../pages/conversation/actions';
import { now } from '../state/clock';
import { offers } from '../state/inbox';
import { actAsAgent, linkState } from '../state/link';
import { allowAlerts, askForNotifications } from '../state/offers';
import { own, slotsInUse, status } from '../state/people';
import { language, sound, theme } from '../state/prefs';
import { go, href, page, route } from '../state/route';
import { can, me, myKey, signOut } from '../state/session';
import { useDismiss } from './dismiss';
import { Icon, type IconName } from './icons';
import { paletteOpen } from './palette';
import { Until } from './parts';

export const STATUSES: RoutingStatus[] = ['available', 'transfers_only', 'away', 'offline'];

interface Place {
  name: 'inbox' | 'search' | 'wall' | 'knowledge' | 'reports' | 'admin';
  icon: IconName;
  permission: string;
}

export const PLACES: Place[] = [
  { name: 'inbox', icon: 'inbox', permission: 'conversation.read' },
  { name: 'search', icon: 'search', permission: 'message.search' },
  { name: 'wall', icon: 'wall', permission: 'agent.read' },
  { name: 'knowledge', icon: 'book', permission: 'entry.read' },
  { name: 'reports', icon: 'chart', permission: 'report.read' },
  { name: 'admin', icon: 'gear', permission: 'settings.read' },
];

export function TopBar() {
  return (
    <header class="top">
      <a class="brand" href={href('inbox', 'mine')}>
        kefu
      </a>
      <nav aria-label={t('nav')}>
        <ul class="places">
          {PLACES.filter((place) => can(place.permission)).map((place) => (
            <li key={place.name}>
              <a href={href(place.name)} aria-current={page.value === place.name ? 'page' : undefined}>
                <Icon name={place.icon} /> <span class="place-name">{t(`nav.${place.name}`)}</span>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <span class="grow" />
      <button type="button" class="quiet wide-only" onClick={() => (paletteOpen.value = true)}>
        <Icon name="command" /> {t('palette.open')} <kbd>Ctrl K</kbd>
      </button>
      {me.value?.agent && can('agent.own_status') && <Status />}
      <UserMenu />
    </header>
  );
}

function Status() {
  const slots = own.value?.state.slots ?? 0;
  return (
    <div class="status">
      <span class={`dot status-${status.value}`} aria-hidden="true" />
      <label>
        <span class="unseen">{t('status')}</span>
        <select
          value={status.value}
          onChange={(event) => {
            allowAlerts();
            void askForNotifications();
            void actAsAgent(myKey(), { type: 'set_status', status: event.currentTarget.value });
          }}
        >
          {STATUSES.map((one) => (
            <option key={one} value={one}>
              {tv('status', one)}
            </option>
          ))}
        </select>
      </label>
      <span class="slots" title={t('slots.title')}>
        <span class="unseen">{t('slots.title')}</span> {slotsInUse.value}/{slots}
      </span>
    </div>
  );
}

function UserMenu() {
  const [open, setOpen] = useState(false);
  useDismiss(open, () => setOpen(false), '.user-menu');
  const user = me.value;
  if (!user) return null;
  return (
    <div class="menu-holder user-menu">
      <button type="button" class="quiet user-button" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="person" /> <span class="clip place-name">{user.name || user.user}</span>
      </button>
      {open && (
        <div class="menu" role="group" aria-label={user.name || user.user}>
          <p class="menu-hint">
            {user.user} · {user.tenant} · {user.roles.map((grant) => tv('role', grant.role)).join(', ')}
          </p>
          <label class="menu-row">
            {t('theme')}
            <select
              value={theme.value}
              onChange={(event) => (theme.value = event.currentTarget.value as 'auto')}
            >
              <option value="auto">{t('theme.auto')}</option>
              <option value="light">{t('theme.light')}</option>
              <option value="dark">{t('theme.dark')}</option>
            </select>
          </label>
          <label class="menu-row">
            {t('language')}
            <select
              value={language.value}
              onChange={(event) => (language.value = event.currentTarget.value as 'en')}
            >
              <option value="en">English</option>
              <option value="zh">中文</option>
            </select>
          </label>
          <label class="menu-row">
            {t('sound')}
            <input
              type="checkbox"
              checked={sound.value}
              onChange={(event) => (sound.value = event.currentTarget.checked)}
            />
          </label>
          <button
            type="button"
            onClick={() => {
              allowAlerts();
              void askForNotifications();
            }}
          >
            {t('notifications.allow')}
          </button>
          <button
            type="button"
            onClick={() => {
              setOpen(false);
              go('account');
            }}
          >
            {t('account')}
          </button>
          <button type="button" onClick={() => signOut()}>
            {t('signOut')}
          </button>
        </div>
      )}
    </div>
  );
}

/** Says that what is shown may be old. A break of a moment is not worth a word. */
export function LinkNotice() {
  const [since, setSince] = useState<number | null>(null);
  const live = linkState.value === 'live';
  useEffect(() => setSince(live ? null : Date.now()), [live]);
  now.value;
  if (since === null || Date.now() - since < 2000) return null;
  return (
    <p class="link-notice" role="status">
      {t('link.offline')}
    </p>
  );
}

/** Offers of conversations that are not the one on the screen. */
export function OfferDock() {
  const elsewhere = offers.value.filter((row) => route.value[2] !== row.key);
  return (
    <>
      <p class="unseen" role="alert">
        {offers.value.length > 0 ? t('offer.announce', { n: offers.value.length }) : ''}
      </p>
      {elsewhere.length > 0 && (
        <section class="dock" aria-label={t('offer.title')}>
          {elsewhere.map((row) => (
            <div key={row.key} class="dock-offer">
              <a class="min0 grow" href={href('inbox', 'mine', row.key)}>
                <strong class="clip">{row.sender?.name || row.sender?.id}</strong>
                <span class="muted clip">{row.preview?.text}</span>
              </a>
              {row.offer && <Until at={row.offer.deadline} />}
              <button type="button" class="primary" onClick={() => start('accept', row)}>
                {t('action.accept')}
              </button>
              <button type="button" onClick={() => start('reject', row)}>
                {t('action.reject')}
              </button>
            </div>
          ))}
        </section>
      )}
    </>
  );
}
