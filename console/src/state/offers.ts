// New offers: a sound and a notification, so that one is noticed with the page in the background.

import { effect } from '@preact/signals';
import { t } from '../i18n';
import { offers } from './inbox';
import { sound } from './prefs';
import { go } from './route';

let audio: AudioContext | undefined;
let heard = new Set<string>();

/** Browsers allow sound, and the question about notifications, after the user has done something on the page. */
export function allowAlerts(): void {
  audio ??= typeof AudioContext === 'function' ? new AudioContext() : undefined;
  void audio?.resume();
}

export async function askForNotifications(): Promise<void> {
  if (typeof Notification === 'function' && Notification.permission === 'default') {
    await Notification.requestPermission();
  }
}

/** Two short tones. */
function ring(): void {
  if (audio?.state !== 'running' || !sound.value) return;
  for (const [start, pitch] of [
    [0, 660],
    [0.16, 880],
  ] as const) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    const from = audio.currentTime + start;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.0001, from);
    volume.gain.exponentialRampToValueAtTime(0.12, from + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, from + 0.15);
    tone.connect(volume).connect(audio.destination);
    tone.start(from);
    tone.stop(from + 0.16);
  }
}

function notify(key: string, who: string): void {
  if (typeof Notification !== 'function' || Notification.permission !== 'granted' || !document.hidden) return;
  const note = new Notification(t('offer.notification'), { body: who, tag: key });
  note.onclick = () => {
    window.focus();
    go('inbox', 'mine', key);
  };
}

export function announceOffers(): void {
  addEventListener('pointerdown', allowAlerts, { once: true });
  addEventListener('keydown', allowAlerts, { once: true });
  effect(() => {
    const open = offers.value;
    const fresh = open.filter((row) => row.offer && !heard.has(row.offer.id));
    heard = new Set(open.flatMap((row) => (row.offer ? [row.offer.id] : [])));
    document.title = open.length > 0 ? `(${open.length}) kefu` : 'kefu';
    if (fresh.length > 0) ring();
    for (const row of fresh) notify(row.key, row.sender?.name || row.sender?.id || row.key);
  });
}
