// The sessions behind a figure, each with the way to its conversation.

import { useEffect, useState } from 'preact/hooks';
import type { ReportSession } from '../../api/types';
import { t, tv } from '../../i18n';
import { momentText, seconds } from '../../i18n/figures';
import { nameOf } from '../../state/people';
import { type Behind, nameOfFigure, sessionsBehind } from '../../state/reports';
import { href } from '../../state/route';
import { can } from '../../state/session';
import { Dialog } from '../../ui/dialog';
import { Empty } from '../../ui/parts';
import { type View, valueName } from './view';

interface Listed {
  items: ReportSession[];
  next: string | null;
}

export function Sessions({ behind, view, onClose }: { behind: Behind; view: View; onClose(): void }) {
  const [listed, setListed] = useState<Listed | null>(null);
  const [failed, setFailed] = useState('');
  const [busy, setBusy] = useState(false);

  async function load(before: Listed | null) {
    setBusy(true);
    try {
      const page = await sessionsBehind(behind, view.span, before?.next ?? undefined);
      setListed({ items: [...(before?.items ?? []), ...page.items], next: page.next ?? null });
      setFailed('');
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  }
  useEffect(() => void load(null), []);

  const name = nameOfFigure(behind.metric);
  const whose = behind.value ? `${name} · ${valueName(behind.by, behind.value)}` : name;
  return (
    <Dialog title={t('reports.sessions', { name: whose })} wide onClose={onClose}>
      <p class="muted">{t('reports.sessions.hint')}</p>
      <p class="form-error" role="alert">
        {failed && t('reports.failed', { message: failed })}
      </p>
      {!listed && !failed && <Empty>{t('loading')}</Empty>}
      {listed && listed.items.length > 0 && <SessionTable items={listed.items} zone={view.zone} />}
      {listed && listed.items.length === 0 && !listed.next && <Empty>{t('reports.sessions.none')}</Empty>}
      {listed?.next && (
        <div class="buttons">
          <button type="button" disabled={busy} onClick={() => load(listed)}>
            {t('inbox.more')}
          </button>
        </div>
      )}
    </Dialog>
  );
}

function SessionTable({ items, zone }: { items: ReportSession[]; zone: string }) {
  const mayOpen = can('conversation.read');
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard.
    <section class="panel scroll-x" tabIndex={0} aria-label={t('conversation')}>
      <table class="session-table">
        <thead>
          <tr>
            <th scope="col">{t('conversation')}</th>
            <th scope="col">{t('reports.sessions.ended')}</th>
            <th scope="col">{t('reports.sessions.why')}</th>
            <th scope="col">{t('reports.table.channel')}</th>
            <th scope="col">{t('queue')}</th>
            <th scope="col">{t('agent')}</th>
            <th scope="col">{t('reports.table.intent')}</th>
            <th scope="col" class="number">
              {t('reports.sessions.waited')}
            </th>
            <th scope="col" class="number">
              {t('reports.sessions.firstResponse')}
            </th>
            <th scope="col" class="number">
              {t('reports.sessions.handled')}
            </th>
            <th scope="col" class="number">
              {t('reports.sessions.rating')}
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((one) => {
            const text = t('reports.sessions.open', { key: one.conversation.slice(0, 8), n: one.session });
            return (
              <tr key={`${one.conversation} ${one.session}`}>
                <td>{mayOpen ? <a href={href('inbox', 'all', one.conversation)}>{text}</a> : text}</td>
                <td>{momentText(Date.parse(one.closed_at), zone)}</td>
                <td>{tv('closed', one.reason)}</td>
                <td>{one.channel}</td>
                <td>{one.queue}</td>
                <td>{nameOf(one.agent)}</td>
                <td>{one.intent}</td>
                <td class="number">{one.waited_s > 0 ? seconds(one.waited_s) : '–'}</td>
                <td class="number">{one.first_response_s === null ? '–' : seconds(one.first_response_s)}</td>
                <td class="number">{one.handled_s > 0 ? seconds(one.handled_s) : '–'}</td>
                <td class="number">{one.rating ?? '–'}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
