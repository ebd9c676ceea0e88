// The wall: how the queues are doing against their targets, who works on what, and who waits.

import { useEffect, useState } from 'preact/hooks';
import type { AgentSummary, ConversationSummary, QueueFigures } from '../api/types';
import { duration, t, tv } from '../i18n';
import { inList, loadList, rows } from '../state/inbox';
import { agents, loadAgents, loadQueues, queues } from '../state/people';
import { href } from '../state/route';
import { can } from '../state/session';
import { targets } from '../state/tenant';
import { moment, wallThen } from '../state/wall';
import { Icon } from '../ui/icons';
import { Empty, Since } from '../ui/parts';
import { start } from './conversation/actions';
import { Past, PastMarker } from './wall/past';

/** Figures of queues are not events; they are asked for. */
const REFRESH_MS = 3000;

export function Wall() {
  const [slider, setSlider] = useState(false);
  const isPast = moment.value !== null;
  useEffect(() => {
    if (isPast) return;
    void loadAgents();
    void loadQueues();
    void loadList('unassigned');
    const timer = setInterval(() => {
      void loadQueues();
      if (!can('agent.manage')) void loadAgents();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [isPast]);
  return (
    <main class={isPast ? 'page past' : 'page'}>
      <div class="title-row">
        <h1>{t('wall.title')}</h1>
        {!slider && (
          <button type="button" onClick={() => setSlider(true)}>
            <Icon name="history" /> {t('moment.open')}
          </button>
        )}
      </div>
      {slider && <Past onClose={() => setSlider(false)} />}
      <PastMarker />
      {(!isPast || wallThen.value) && <Shown />}
    </main>
  );
}

function Shown() {
  const past = moment.value === null ? null : wallThen.value;
  const shown = past ?? { agents: agents.value, queues: queues.value, waiting: inList('unassigned') };
  const left = past && past.totals.agents > past.agents.length ? past.totals.agents : 0;
  return (
    <>
      <Queues queues={shown.queues} isPast={!!past} />
      <h2>{t('agents')}</h2>
      <Agents agents={shown.agents} isPast={!!past} />
      {left > 0 && <p class="muted">{t('wall.past.more', { shown: shown.agents.length, total: left })}</p>}
      <h2>{past ? t('wall.past.waiting') : t('wall.waitingNow')}</h2>
      <Waiting waiting={shown.waiting} isPast={!!past} />
    </>
  );
}

/** Up to when what has begun is counted: the moment that is looked at, or the present one. */
const until = () => (wallThen.value ? Date.parse(wallThen.value.at) : null);

function Queues({ queues, isPast }: { queues: QueueFigures[]; isPast: boolean }) {
  if (queues.length === 0) return <Empty>{isPast ? t('wall.past.noQueues') : t('wall.noQueues')}</Empty>;
  return (
    <div class="tiles">
      {queues.map((queue) => (
        <QueueTile key={queue.queue} queue={queue} isPast={isPast} />
      ))}
    </div>
  );
}

function QueueTile({ queue, isPast }: { queue: QueueFigures; isPast: boolean }) {
  // Targets are those of now, and were others perhaps.
  const target = isPast ? undefined : targets.value[queue.queue];
  const oldest = queue.oldest_s ?? 0;
  const late = target ? oldest > target.within_s : false;
  const tone = late ? 'late' : queue.waiting > 0 ? 'some' : '';
  return (
    <section class={`tile ${tone}`} aria-label={queue.queue}>
      <h3 class="clip">{queue.queue}</h3>
      <p class="large">
        {queue.waiting} <small>{t('wall.waiting')}</small>
      </p>
      <dl class="facts">
        <Figure name={t('wall.oldest')} value={queue.oldest_s == null ? '–' : duration(oldest)} late={late} />
        {!isPast && (
          <>
            <Figure
              name={t('wall.estimate')}
              value={queue.estimated_wait_s == null ? '–' : duration(queue.estimated_wait_s)}
            />
            <Figure
              name={t('wall.level')}
              value={queue.service_level == null ? '–' : `${Math.round(queue.service_level)} %`}
              late={!!target && queue.service_level != null && queue.service_level < target.percent}
            />
          </>
        )}
        {target && (
          <Figure
            name={t('wall.target')}
            value={t('wall.targetValue', { percent: target.percent, time: duration(target.within_s) })}
          />
        )}
      </dl>
    </section>
  );
}

function Figure({ name, value, late }: { name: string; value: string; late?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={late ? 'figure late-figure' : 'figure'}>{value}</dd>
    </div>
  );
}

const RANK = { available: 0, transfers_only: 1, away: 2, offline: 3 };

function Agents({ agents, isPast }: { agents: AgentSummary[]; isPast: boolean }) {
  if (agents.length === 0) return <Empty>{isPast ? t('wall.past.noAgents') : t('wall.noAgents')}</Empty>;
  const ordered = agents.toSorted((a, b) => RANK[a.status] - RANK[b.status] || (a.name < b.name ? -1 : 1));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard.
    <section class="panel scroll-x" tabIndex={0} aria-label={t('agents')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('agent')}</th>
            <th scope="col">{t('wall.state')}</th>
            <th scope="col">{t('wall.since')}</th>
            <th scope="col">{t('wall.load')}</th>
            <th scope="col">{t('conversation')}</th>
            <th scope="col">{t('wall.serves')}</th>
          </tr>
        </thead>
        <tbody>
          {ordered.map((agent) => (
            <AgentRow key={agent.key} agent={agent} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function AgentRow({ agent }: { agent: AgentSummary }) {
  return (
    <tr>
      <td>
        <span class="agent-name">
          <span class={`dot status-${agent.status}`} aria-hidden="true" />
          {agent.name || agent.id}
        </span>
      </td>
      <td>
        {tv('status', agent.status)}
        {agent.reason && <span class="muted"> · {agent.reason}</span>}
        <br />
        <small class="muted">{agent.online ? t('wall.connected') : t('wall.disconnected')}</small>
      </td>
      <td>{agent.status_since ? <Since at={agent.status_since} until={until()} /> : '–'}</td>
      <td>
        <span class="load">
          <meter min={0} max={Math.max(1, agent.slots)} value={agent.in_use} aria-label={t('wall.load')} />
          <span class="figure">
            {agent.in_use}/{agent.slots}
          </span>
        </span>
      </td>
      <td>
        <span class="inline-links">
          {Object.values(agent.held).map((slot) => {
            const row = rows.value.get(slot.conversation);
            return (
              <a key={slot.conversation} href={href('inbox', 'all', slot.conversation)}>
                {wallThen.value?.senders[slot.conversation] ||
                  row?.sender?.name ||
                  row?.sender?.id ||
                  slot.conversation.slice(0, 8)}
              </a>
            );
          })}
        </span>
      </td>
      <td class="muted">{agent.queues.join(', ')}</td>
    </tr>
  );
}

function Waiting({ waiting, isPast }: { waiting: ConversationSummary[]; isPast: boolean }) {
  if (waiting.length === 0) {
    return <Empty>{isPast ? t('wall.past.noWaiting') : t('inbox.unassigned.empty')}</Empty>;
  }
  const name = isPast ? t('wall.past.waiting') : t('wall.waitingNow');
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard.
    <section class="panel scroll-x" tabIndex={0} aria-label={name}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('customer')}</th>
            <th scope="col">{t('queue')}</th>
            <th scope="col">{t('customer.waits')}</th>
            <th scope="col">{t('customer.priority')}</th>
            {!isPast && (
              <th scope="col">
                <span class="unseen">{t('more')}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {waiting.map((row) => (
            <tr key={row.key}>
              <td>
                <a href={href('inbox', 'unassigned', row.key)}>{row.sender?.name || row.sender?.id}</a>
              </td>
              <td>{row.queue}</td>
              <td>{row.waits_since && <Since at={row.waits_since} until={until()} />}</td>
              <td>{row.priority ?? 0}</td>
              {!isPast && (
                <td>
                  <Deeds row={row} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Deeds({ row }: { row: ConversationSummary }) {
  return (
    <div class="buttons">
      {can('conversation.take_over') && (
        <button type="button" onClick={() => start('take_over', row)}>
          {t('action.take_over')}
        </button>
      )}
      {can('conversation.assign') && (
        <button type="button" onClick={() => start('reassign', row)}>
          {t('action.reassign')}
        </button>
      )}
    </div>
  );
}
