// The command palette: everything that can be done, by a few letters; and the page of keys.

import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { type Key, t, tv } from '../i18n';
import { allowed, start } from '../pages/conversation/actions';
import { row as rowOf, rows } from '../state/inbox';
import { actAsAgent } from '../state/link';
import { language, theme } from '../state/prefs';
import { go, route } from '../state/route';
import { can, me, myKey, signOut } from '../state/session';
import { Dialog } from './dialog';
import { PLACES, STATUSES } from './shell';

export const paletteOpen = signal(false);
export const helpOpen = signal(false);

interface Choice {
  group: string;
  name: string;
  run(): void;
}

function choices(): Choice[] {
  const found: Choice[] = [];
  const open = route.value[0] === 'inbox' && route.value[2] ? rowOf(route.value[2]) : undefined;
  if (open) {
    for (const action of allowed(open)) {
      found.push({
        group: t('palette.conversation'),
        name: t(`action.${action}`),
        run: () => start(action, open),
      });
    }
  }
  for (const place of PLACES.filter((one) => can(one.permission))) {
    found.push({ group: t('palette.go'), name: t(`nav.${place.name}`), run: () => go(place.name) });
  }
  if (me.value?.agent) {
    for (const status of STATUSES) {
      const run = () => void actAsAgent(myKey(), { type: 'set_status', status });
      found.push({ group: t('status'), name: tv('status', status), run });
    }
  }
  for (const row of rows.value.values()) {
    const name = row.sender?.name || row.sender?.id || row.thread;
    found.push({ group: t('palette.open.conversation'), name, run: () => go('inbox', 'all', row.key) });
  }
  found.push(
    { group: t('theme'), name: t('theme.light'), run: () => (theme.value = 'light') },
    { group: t('theme'), name: t('theme.dark'), run: () => (theme.value = 'dark') },
    { group: t('language'), name: 'English', run: () => (language.value = 'en') },
    { group: t('language'), name: '中文', run: () => (language.value = 'zh') },
    { group: '?', name: t('keys.title'), run: () => (helpOpen.value = true) },
    { group: '', name: t('signOut'), run: () => void signOut() },
  );
  return found;
}

const MAX_SHOWN = 12;

export function Palette() {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  if (!paletteOpen.value) return null;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices()
    .filter(({ group, name }) => words.every((word) => `${group} ${name}`.toLowerCase().includes(word)))
    .slice(0, MAX_SHOWN);
  const chosen = Math.min(at, found.length - 1);
  const close = () => {
    paletteOpen.value = false;
    setText('');
    setAt(0);
  };
  const run = (choice: Choice | undefined) => {
    close();
    // After the dialogue has given the focus back, so that what is run can take it.
    setTimeout(() => choice?.run());
  };
  return (
    <Dialog title={t('palette.open')} onClose={close}>
      <input
        class="palette-input"
        data-first
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length > 0 ? `palette-${chosen}` : undefined}
        aria-label={t('palette.hint')}
        placeholder={t('palette.hint')}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === 'ArrowDown') setAt(Math.min(found.length - 1, chosen + 1));
          else if (event.key === 'ArrowUp') setAt(Math.max(0, chosen - 1));
          else if (event.key === 'Enter') run(found[chosen]);
          else return;
          event.preventDefault();
        }}
      />
      <div class="palette-list" id="palette-list" role="listbox" aria-label={t('palette.open')}>
        {found.map((choice, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys.
          <div
            key={`${choice.group} ${choice.name} ${index}`}
            id={`palette-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={() => run(choice)}
          >
            <span class="grow clip">{choice.name}</span>
            <span class="muted">{choice.group}</span>
          </div>
        ))}
      </div>
    </Dialog>
  );
}

/** Keys and what they do, as the page of keys shows them. `keys.ts` acts on them. */
export const KEYS: [string, Key][] = [
  ['Ctrl K', 'palette.open'],
  ['?', 'keys.title'],
  ['j', 'keys.next'],
  ['k', 'keys.previous'],
  ['Enter', 'keys.accept'],
  ['a', 'action.accept'],
  ['x', 'action.reject'],
  ['r', 'action.reply'],
  ['n', 'action.note'],
  ['m', 'keys.macro'],
  ['s', 'keys.suggestion'],
  ['t', 'action.transfer'],
  ['z', 'action.snooze'],
  ['w', 'action.wrap_up'],
  ['c', 'action.close'],
  ['#', 'keys.tag'],
  ['g i', 'nav.inbox'],
  ['g s', 'nav.search'],
  ['g w', 'nav.wall'],
  ['g k', 'nav.knowledge'],
  ['g r', 'nav.reports'],
  ['g a', 'nav.admin'],
  ['/', 'keys.search'],
  ['Esc', 'keys.escape'],
];

export function Help() {
  if (!helpOpen.value) return null;
  return (
    <Dialog title={t('keys.title')} onClose={() => (helpOpen.value = false)}>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(' ').map((one) => (
                <kbd key={one}>{one}</kbd>
              ))}
            </dt>
            <dd>{t(what)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
