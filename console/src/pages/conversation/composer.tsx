// Where an agent writes: replies and notes, with drafts, macros, files by paste, drop or choice, and typing.

import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { upload } from '../../api/http';
import type { FileRef } from '../../api/types';
import { bytes, t } from '../../i18n';
import type { Row } from '../../model/fold';
import { fillMacro, firstGap } from '../../model/macros';
import { draft, keepDraft, type Mode } from '../../state/drafts';
import { act, giveFeedback, sayTyping } from '../../state/link';
import { me } from '../../state/session';
import { macros } from '../../state/tenant';
import { tellError } from '../../state/toasts';
import { useDismiss } from '../../ui/dismiss';
import { Icon } from '../../ui/icons';
import { allowed, wishFocus } from './actions';

/** A suggested answer that was put into the writing field: what becomes of it is told to the knowledge base when it is sent. */
export const adopted = signal<{ key: string; entry: string; version: number; text: string } | null>(null);
/** Text that other parts of the page want to put into the writing field. */
export const insertion = signal<{ key: string; text: string } | null>(null);

const TYPING_EVERY_MS = 3000;

export function Composer({ row }: { row: Row }) {
  const may = allowed(row);
  const modes: Mode[] = (['reply', 'note'] as const).filter((mode) => may.includes(mode));
  const [wished, setMode] = useState<Mode>('reply');
  const mode = modes.includes(wished) ? wished : modes[0];
  const [text, setText] = useState('');
  const [files, setFiles] = useState<FileRef[]>([]);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const [picking, setPicking] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const typed = useRef(0);
  useDismiss(picking, () => setPicking(false), '.composer .menu-holder');

  useEffect(() => {
    if (mode) setText(draft(row.key, mode));
    setFiles([]);
  }, [row.key, mode]);

  // A field as high as its text, within limits that the style sheet sets.
  useEffect(() => {
    const field = area.current;
    if (!field) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight + 2}px`;
  }, [text, mode]);

  const wish = wishFocus.value;
  const isWished = wish?.key === row.key && modes.includes(wish.mode);
  useEffect(() => {
    if (!wish || !isWished) return;
    wishFocus.value = null;
    setMode(wish.mode);
    setTimeout(() => area.current?.focus());
  }, [isWished]);

  const wanted = insertion.value;
  useEffect(() => {
    if (wanted?.key !== row.key) return;
    insertion.value = null;
    setMode('reply');
    put(wanted.text);
  }, [wanted]);

  if (!mode) return null;

  function change(next: string) {
    setText(next);
    keepDraft(row.key, mode!, next);
    if (mode === 'reply' && Date.now() - typed.current > TYPING_EVERY_MS) {
      typed.current = Date.now();
      sayTyping(row.key, next !== '');
    }
  }

  function put(added: string) {
    const next = added;
    setText(next);
    keepDraft(row.key, 'reply', next);
    setTimeout(() => {
      const gap = firstGap(next);
      area.current?.focus();
      area.current?.setSelectionRange(gap?.[0] ?? next.length, gap?.[1] ?? next.length);
    });
  }

  function filled(macro: string): string {
    const collected = Object.entries(row.collected ?? {}).map(([name, value]) => [
      `collected.${name}`,
      value,
    ]);
    return fillMacro(macro, {
      ...Object.fromEntries(collected),
      'customer.name': row.sender?.name,
      'customer.id': row.sender?.id,
      'agent.name': me.value?.name,
      queue: row.queue,
      channel: row.channel,
    });
  }

  function useMacro(macro: string) {
    put(text.trim() ? `${text.trimEnd()}\n${filled(macro)}` : filled(macro));
    setPicking(false);
  }

  async function add(list: Iterable<File>) {
    setBusy(true);
    try {
      for (const file of list) {
        const name = file.name || `${t('upload.pasted')}.${file.type.split('/')[1] ?? 'bin'}`;
        const reference = await upload(file, name);
        setFiles((before) => [...before, reference]);
      }
    } catch (error) {
      tellError(error);
    }
    setBusy(false);
  }

  async function send() {
    const said = text.trim();
    if (busy || (!said && files.length === 0)) return;
    setBusy(true);
    let ok = true;
    if (mode === 'note') ok = await act(row.key, { type: 'note', text: said });
    else {
      for (const file of files) {
        const kind = file.mime.startsWith('image/') ? 'image' : 'file';
        ok = ok && (await act(row.key, { type: 'reply', content: { kind, ...file } }));
        if (ok) setFiles((before) => before.filter((other) => other.object !== file.object));
      }
      if (ok && said) ok = await act(row.key, { type: 'reply', content: { kind: 'text', text: said } });
      sayTyping(row.key, false);
      typed.current = 0;
    }
    if (ok) {
      const used = adopted.value;
      if (mode === 'reply' && used?.key === row.key) {
        const feedback = used.text.trim() === said ? 'adopted' : 'edited';
        void giveFeedback(used.entry, used.version, feedback, row.key);
        adopted.value = null;
      }
      setText('');
      keepDraft(row.key, mode!, '');
    }
    setBusy(false);
    area.current?.focus();
  }

  return (
    <section
      class={`composer mode-${mode}${over ? ' over' : ''}`}
      aria-label={t(`compose.${mode}`)}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (mode === 'reply') void add(event.dataTransfer?.files ?? []);
      }}
    >
      <div class="composer-tabs" role="group" aria-label={t('compose.mode')}>
        {modes.map((one) => (
          <button
            key={one}
            type="button"
            class="tab"
            aria-pressed={one === mode}
            onClick={() => setMode(one)}
          >
            {t(`compose.${one}`)}
          </button>
        ))}
      </div>
      <textarea
        ref={area}
        rows={2}
        value={text}
        aria-label={t(`compose.${mode}`)}
        placeholder={t(`compose.${mode}Hint`)}
        onInput={(event) => change(event.currentTarget.value)}
        onKeyDown={(event) => {
          // While an input method composes, Enter chooses a word and sends nothing.
          if (event.key !== 'Enter' || event.isComposing) return;
          if (event.shiftKey) return;
          event.preventDefault();
          void send();
        }}
        onPaste={(event) => {
          const pasted = [...(event.clipboardData?.files ?? [])];
          if (pasted.length === 0 || mode !== 'reply') return;
          event.preventDefault();
          void add(pasted);
        }}
      />
      {files.length > 0 && (
        <ul class="uploads">
          {files.map((file) => (
            <li key={file.object}>
              <Icon name="file" /> <span class="file-name">{file.name}</span>{' '}
              <span class="muted">{bytes(file.size)}</span>
              <button
                type="button"
                class="icon-button"
                aria-label={t('upload.remove', { name: file.name })}
                onClick={() => setFiles(files.filter((other) => other.object !== file.object))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="composer-foot">
        {mode === 'reply' && (
          <label class="icon-button" title={t('upload.add')}>
            <Icon name="clip" />
            <span class="unseen">{t('upload.add')}</span>
            <input
              type="file"
              multiple
              class="unseen"
              onChange={(event) => {
                void add(event.currentTarget.files ?? []);
              }}
            />
          </label>
        )}
        {mode === 'reply' && (
          <div class="menu-holder">
            <button
              type="button"
              class="quiet"
              aria-expanded={picking}
              aria-haspopup="true"
              data-key="macro"
              onClick={() => setPicking(!picking)}
            >
              <Icon name="bolt" /> {t('macro.button')}
            </button>
            {picking && (
              <div class="menu up" role="group" aria-label={t('macro.button')}>
                {macros.value.length === 0 && <p class="menu-hint">{t('macro.none')}</p>}
                {macros.value.map((macro) => (
                  <button key={macro.id} type="button" onClick={() => useMacro(macro.text)}>
                    <strong>{macro.name}</strong>
                    <span class="muted">{filled(macro.text).slice(0, 80)}</span>
                  </button>
                ))}
              </div>
            )}
          </div>
        )}
        <span class="hint grow">{t('compose.keys')}</span>
        <button
          type="button"
          class="primary"
          disabled={busy || (!text.trim() && files.length === 0)}
          onClick={send}
        >
          <Icon name={mode === 'note' ? 'note' : 'send'} />{' '}
          {mode === 'note' ? t('compose.keep') : t('compose.send')}
        </button>
      </div>
    </section>
  );
}
