// Small parts that many pages use.

import { type ComponentChildren, cloneElement, type VNode } from 'preact';
import { useId } from 'preact/hooks';
import type { Piece } from '../api/types';
import { ago, dateTime, duration, t, tv } from '../i18n';
import { coarseNow, now } from '../state/clock';
import { dismiss, toasts } from '../state/toasts';
import { Icon } from './icons';

export function Ago({ at, class: className }: { at: string; class?: string }) {
  return (
    <time dateTime={at} title={dateTime(at)} class={className}>
      {ago(at, coarseNow.value)}
    </time>
  );
}

/** Counts up from a moment; or says how far it had counted at another. */
export function Since({ at, until }: { at: string; until?: number | null }) {
  return (
    <time dateTime={at} title={dateTime(at)} class="figure">
      {duration(((until ?? now.value) - Date.parse(at)) / 1000)}
    </time>
  );
}

/** Counts down to a moment. */
export function Until({ at }: { at: string }) {
  return (
    <time dateTime={at} title={dateTime(at)} class="figure">
      {duration((Date.parse(at) - now.value) / 1000)}
    </time>
  );
}

export function PhaseBadge({ phase, snoozed, held }: { phase: string; snoozed?: boolean; held?: boolean }) {
  const shown = snoozed ? 'snoozed' : held ? 'held' : phase;
  return <span class={`badge phase-${shown}`}>{tv('phase', shown)}</span>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** A piece of a text with what was looked for marked. */
export function Snippet({ pieces }: { pieces: Piece[] }) {
  return (
    <>{pieces.map((piece, index) => (piece.hit ? <mark key={index}>{piece.text}</mark> : piece.text))}</>
  );
}

/** A control with its name, and a hint that is read after it. */
export function Field({ label, hint, children }: { label: string; hint?: string; children: VNode }) {
  const id = useId();
  return (
    <div class="field">
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the control is handed in as the child. */}
      <label>
        <span class="field-label">{label}</span>
        {hint ? cloneElement(children, { 'aria-describedby': id }) : children}
      </label>
      {hint && (
        <span class="hint" id={id}>
          {hint}
        </span>
      )}
    </div>
  );
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.tone}`}>
          <span>{toast.text}</span>
          <button
            type="button"
            class="icon-button"
            aria-label={t('dismiss')}
            onClick={() => dismiss(toast.id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

/** A person's first letters, on a colour that stays theirs. */
export function Initials({ name }: { name: string }) {
  const letters = name.match(/[\p{L}\p{N}]/gu) ?? ['?'];
  const hue = letters.reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0) % 6;
  return (
    <span class={`initials hue-${hue}`} aria-hidden="true">
      {letters[0]?.toUpperCase()}
    </span>
  );
}
