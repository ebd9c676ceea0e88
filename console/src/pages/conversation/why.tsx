// Why a conversation is where it is: the scheduler's recorded candidates with their scores.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../../api/http';
import type { Decision } from '../../api/types';
import { dateTime, duration, t, tv } from '../../i18n';
import { nameOf } from '../../state/people';
import { thread, timeline } from '../../state/thread';
import { Dialog } from '../../ui/dialog';
import { Empty } from '../../ui/parts';

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

/** A decision as it was recorded with the offer. What is no decision of this kind is not shown. */
export function DecisionView({ decision }: { decision: Decision }) {
  if (!Array.isArray(decision?.candidates)) return null;
  const parts = [...new Set(decision.candidates.flatMap((one) => Object.keys(one.parts ?? {})))];
  const excluded = Object.entries(decision.excluded ?? {});
  return (
    <details class="decision">
      <summary>{t('why.link')}</summary>
      <p class="muted">
        {t('why.policy', { policy: decision.policy })} · {dateTime(new Date(decision.at_ms).toISOString())}
      </p>
      <div class="scroll-x">
        <table>
          <thead>
            <tr>
              <th scope="col">{t('agent')}</th>
              <th scope="col" class="number">
                {t('why.score')}
              </th>
              {parts.map((part) => (
                <th scope="col" class="number" key={part}>
                  {part}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {decision.candidates.map((one) => (
              <tr key={one.agent} class={one.agent === decision.agent ? 'chosen' : ''}>
                <td>{nameOf(one.agent)}</td>
                <td class="number">{number(one.score)}</td>
                {parts.map((part) => (
                  <td class="number" key={part}>
                    {part in one.parts ? number(one.parts[part]!) : '–'}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {excluded.length > 0 && (
        <p class="muted">
          {t('why.excluded')}{' '}
          {excluded.map(([reason, count]) => `${tv('excluded', reason)} (${count})`).join(', ')}
        </p>
      )}
    </details>
  );
}

interface WaitingNow {
  waiting?: {
    waited_s: number;
    asked?: string | null;
    ahead?: number | null;
    excluded: Record<string, number>;
    changes_at_ms?: number | null;
  } | null;
}

export function WhyDialog({ onClose }: { onClose(): void }) {
  const key = thread.value?.key ?? '';
  const [now, setNow] = useState<WaitingNow | null>(null);
  const [failed, setFailed] = useState('');
  useEffect(() => {
    http
      .get<WaitingNow>(`conversations/${encodeURIComponent(key)}/why`)
      .then(setNow, (error) => setFailed(error.message));
  }, [key]);
  const decisions = timeline.value.flatMap((item) => (item.kind === 'offer' && item.decision ? [item] : []));
  const waiting = now?.waiting;
  return (
    <Dialog title={t('why.title')} wide onClose={onClose}>
      {failed && <p class="form-error">{failed}</p>}
      {waiting && (
        <section>
          <h3>{t('why.waits')}</h3>
          <p>
            {t('why.waited', { time: duration(waiting.waited_s) })}
            {typeof waiting.ahead === 'number' && ` · ${t('why.ahead', { n: waiting.ahead })}`}
            {waiting.asked && ` · ${t('why.asked', { agent: nameOf(waiting.asked) })}`}
          </p>
          {Object.keys(waiting.excluded).length > 0 && (
            <p class="muted">
              {t('why.excluded')}{' '}
              {Object.entries(waiting.excluded)
                .map(([reason, count]) => `${tv('excluded', reason)} (${count})`)
                .join(', ')}
            </p>
          )}
          {waiting.changes_at_ms && (
            <p class="muted">
              {t('why.changes', { at: dateTime(new Date(waiting.changes_at_ms).toISOString()) })}
            </p>
          )}
        </section>
      )}
      <section>
        <h3>{t('why.decisions')}</h3>
        {decisions.length === 0 && <Empty>{t('why.none')}</Empty>}
        {decisions.map((item) => (
          <div key={item.id} class="decision-row">
            <p>
              {t(`offer.${item.outcome}`, { agent: nameOf(item.agent) })}{' '}
              <span class="muted">{dateTime(item.at)}</span>
            </p>
            <DecisionView decision={item.decision!} />
          </div>
        ))}
      </section>
    </Dialog>
  );
}
