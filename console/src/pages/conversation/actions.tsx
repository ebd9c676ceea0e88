// The buttons of a conversation, and the dialogues that some of them open.

import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Fields, Target } from '../../api/types';
import { dateTime, t, tv } from '../../i18n';
import { type Action, actionsFor } from '../../model/actions';
import type { Row } from '../../model/fold';
import { serverNow } from '../../state/clock';
import { row as rowOf } from '../../state/inbox';
import { act } from '../../state/link';
import { agents, loadAgents, own } from '../../state/people';
import { go } from '../../state/route';
import { can, me, myKey } from '../../state/session';
import { dispositions, queueNames } from '../../state/tenant';
import { Dialog } from '../../ui/dialog';
import { Field } from '../../ui/parts';

type Asking = 'reject' | 'transfer' | 'consult' | 'snooze' | 'close' | 'reassign';
export const asking = signal<{ action: Asking; key: string } | null>(null);
/** The writing field that should have the focus, as soon as it is there. */
export const wishFocus = signal<{ key: string; mode: 'reply' | 'note' } | null>(null);

const ASKS: Action[] = ['reject', 'transfer', 'consult', 'snooze', 'close', 'reassign'];
/** What changes who has it, or ends it: refused where something has happened that the user has not seen. */
const SEEN: Action[] = ['wrap_up', 'return_to_bot', 'take_over'];

export function allowed(row: Row): Action[] {
  return actionsFor(row, myKey(), can);
}

export async function accept(row: Row): Promise<void> {
  const name = own.value?.state.name || me.value?.name;
  const ok = await act(row.key, { type: 'accept', offer: row.offer?.id, name });
  if (!ok) return;
  wishFocus.value = { key: row.key, mode: 'reply' };
  go('inbox', 'mine', row.key);
}

/** Carries an action out, or asks what it needs first. */
export function start(action: Action, row: Row): void {
  if (action === 'accept') void accept(row);
  else if (action === 'reply' || action === 'note') wishFocus.value = { key: row.key, mode: action };
  else if (ASKS.includes(action)) {
    // Who is there now: only supervisors hear of every change.
    if (action !== 'reject') void loadAgents();
    asking.value = { action: action as Asking, key: row.key };
  } else {
    const name = action === 'take_over' ? own.value?.state.name || me.value?.name : undefined;
    void act(row.key, { type: action, name }, SEEN.includes(action) ? row.version : undefined);
  }
}

export function Asked() {
  const asked = asking.value;
  const row = asked ? rowOf(asked.key) : undefined;
  if (!asked || !row) return null;
  const close = () => {
    asking.value = null;
  };
  const Shown = DIALOGS[asked.action];
  return <Shown row={row} close={close} />;
}

interface AskProps {
  row: Row;
  close(): void;
}

function Form(props: {
  title: string;
  does: string;
  close(): void;
  submit(form: FormData): Promise<boolean>;
  children: ComponentChildren;
}) {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={props.title} onClose={props.close}>
      <form
        onSubmit={async (event) => {
          event.preventDefault();
          setBusy(true);
          if (await props.submit(new FormData(event.currentTarget as HTMLFormElement))) props.close();
          else setBusy(false);
        }}
      >
        {props.children}
        <div class="buttons">
          <button type="button" onClick={props.close}>
            {t('cancel')}
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {props.does}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const given = (form: FormData, name: string): string | undefined =>
  String(form.get(name) ?? '').trim() || undefined;

function Reject({ row, close }: AskProps) {
  const reject = (form: FormData) =>
    act(row.key, { type: 'reject', offer: row.offer?.id, reason: given(form, 'reason') });
  return (
    <Form title={t('reject.title')} does={t('action.reject')} close={close} submit={reject}>
      <Field label={t('reject.reason')}>
        <input name="reason" list="reject-reasons" maxlength={500} data-first />
      </Field>
      <datalist id="reject-reasons">
        <option value={t('reject.busy')} />
        <option value={t('reject.skill')} />
        <option value={t('reject.break')} />
      </datalist>
    </Form>
  );
}

function TargetField({ queues = true }: { queues?: boolean }) {
  const others = agents.value.filter((agent) => agent.key !== myKey());
  return (
    <Field label={t('transfer.to')}>
      <select name="to" required data-first>
        <option value="">{t('choose')}</option>
        {queues && (
          <optgroup label={t('queues')}>
            {queueNames.value.map((queue) => (
              <option key={queue} value={`queue:${queue}`}>
                {queue}
              </option>
            ))}
          </optgroup>
        )}
        <optgroup label={t('agents')}>
          {others.map((agent) => (
            <option key={agent.key} value={`agent:${agent.key}`}>
              {agent.name || agent.id} — {tv('status', agent.status)} ({agent.in_use}/{agent.slots})
            </option>
          ))}
        </optgroup>
      </select>
    </Field>
  );
}

function target(form: FormData): Target {
  const [kind, ...name] = (given(form, 'to') ?? '').split(':');
  return kind === 'agent' ? { agent: name.join(':') } : { queue: name.join(':') };
}

function Note() {
  return (
    <Field label={t('transfer.note')} hint={t('transfer.noteHint')}>
      <textarea name="note" rows={3} maxlength={1000} />
    </Field>
  );
}

function handOver(type: 'transfer' | 'reassign') {
  return function HandOver({ row, close }: AskProps) {
    const submit = (form: FormData) => {
      const command: Fields = { type, to: target(form), note: given(form, 'note') };
      return act(row.key, command, row.version);
    };
    return (
      <Form title={t(`${type}.title`)} does={t(`action.${type}`)} close={close} submit={submit}>
        <TargetField />
        <Note />
      </Form>
    );
  };
}

function Consult({ row, close }: AskProps) {
  const submit = (form: FormData) => {
    const to = target(form);
    return act(row.key, { type: 'consult', with: 'agent' in to ? to.agent : '', note: given(form, 'note') });
  };
  return (
    <Form title={t('consult.title')} does={t('action.consult')} close={close} submit={submit}>
      <TargetField queues={false} />
      <Note />
    </Form>
  );
}

const HOUR = 3_600_000;

/** An hour, four hours, tomorrow morning, a week. */
function moments(): string[] {
  const later = (ms: number) => new Date(serverNow() + ms).toISOString();
  const morning = new Date(serverNow() + 24 * HOUR);
  morning.setHours(9, 0, 0, 0);
  return [later(HOUR), later(4 * HOUR), morning.toISOString(), later(7 * 24 * HOUR)];
}

function Snooze({ row, close }: AskProps) {
  // Worked out once: a choice must not change under the user's finger.
  const [choices] = useState(moments);
  const submit = (form: FormData) => {
    const own = given(form, 'own');
    const until = own ? new Date(own).toISOString() : (given(form, 'until') ?? choices[0]!);
    return act(row.key, { type: 'snooze', until });
  };
  return (
    <Form title={t('snooze.title')} does={t('action.snooze')} close={close} submit={submit}>
      <fieldset class="choices">
        <legend>{t('snooze.until')}</legend>
        {choices.map((until, index) => (
          <label key={until}>
            <input
              type="radio"
              name="until"
              value={until}
              defaultChecked={index === 0}
              data-first={index === 0 || undefined}
            />
            {dateTime(until)}
          </label>
        ))}
      </fieldset>
      <Field label={t('snooze.own')}>
        <input type="datetime-local" name="own" />
      </Field>
    </Form>
  );
}

function Close({ row, close }: AskProps) {
  const codes = dispositions.value;
  const submit = async (form: FormData) => {
    const code = given(form, 'code');
    const note = given(form, 'note');
    if (code && !(await act(row.key, { type: 'set_disposition', code, note }))) return false;
    return act(row.key, { type: 'close' }, rowOf(row.key)?.version);
  };
  return (
    <Form title={t('close.title')} does={t('action.close')} close={close} submit={submit}>
      <Field label={t('close.code')}>
        {codes.length > 0 ? (
          <select name="code" data-first>
            <option value="">{t('close.noCode')}</option>
            {codes.map((code) => (
              <option key={code} value={code} selected={code === row.disposition}>
                {code}
              </option>
            ))}
          </select>
        ) : (
          <input name="code" data-first maxlength={64} defaultValue={row.disposition ?? ''} />
        )}
      </Field>
      <Field label={t('close.note')}>
        <textarea name="note" rows={3} maxlength={1000} />
      </Field>
    </Form>
  );
}

const DIALOGS: Record<Asking, (props: AskProps) => preact.JSX.Element> = {
  reject: Reject,
  transfer: handOver('transfer'),
  reassign: handOver('reassign'),
  consult: Consult,
  snooze: Snooze,
  close: Close,
};
