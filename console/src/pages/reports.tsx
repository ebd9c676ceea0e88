// Reports: how much there was to do, and how well it was done. The address says which page, which days, and which list of
// sessions is open, so that a way back leads to where one was: `#/reports/queues/7d/handled/queue/support`.

import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Dimension } from '../api/types';
import { t } from '../i18n';
import { readWish, spanOf, type Wish, writeWish } from '../model/reports/period';
import { PARTS, type Part } from '../model/reports/presets';
import { serverNow } from '../state/clock';
import { agents, loadAgents } from '../state/people';
import { defined, definitions, loadDefinitions, zone } from '../state/reports';
import { go, href, route } from '../state/route';
import { Empty } from '../ui/parts';
import { Failure } from './reports/asked';
import { BotReport } from './reports/bot';
import { AgentsReport, QueuesReport } from './reports/breakdown';
import { Definition } from './reports/definition';
import { Overview } from './reports/overview';
import { RangePicker, SpanText } from './reports/range';
import { Sessions } from './reports/sessions';
import type { View } from './reports/view';
import '../styles/reports.css';

const PAGES = { overview: Overview, queues: QueuesReport, agents: AgentsReport, bot: BotReport };
/** Days that are not over are asked for again. */
const REFRESH_MS = 60_000;

const usual = (part: Part): Wish => (part === 'overview' ? 'today' : '7d');

export function Reports() {
  const [, asPart, asWish, metric, by, value] = route.value;
  const part = PARTS.find((one) => one === asPart) ?? 'overview';
  const wish = readWish(asWish) ?? usual(part);
  const days = writeWish(wish);
  const [tick, setTick] = useState(0);
  const [tries, setTries] = useState(0);
  const [failed, setFailed] = useState('');
  useEffect(() => {
    if (agents.value.length === 0) void loadAgents();
    const timer = setInterval(() => setTick((before) => before + 1), REFRESH_MS);
    return () => {
      clearInterval(timer);
      defined.value = null;
    };
  }, []);
  useEffect(() => {
    if (definitions.value.size > 0) return;
    loadDefinitions().then(
      () => setFailed(''),
      (error: Error) => setFailed(error.message),
    );
  }, [tick, tries]);

  const again = () => setTries((before) => before + 1);
  const there = zone.value;
  const span = useMemo(() => there && spanOf(wish, there, serverNow()), [days, there, tick, tries]);
  const view: View | null =
    span && there && definitions.value.size > 0
      ? {
          part,
          span,
          zone: there,
          // What is over changes no more, or hardly.
          key: `${part} ${days} ${there} ${span.open ? tick : 0} ${tries}`,
          file: `kefu-${part}-${span.first}${span.last === span.first ? '' : `-${span.last}`}`,
          open: (behind) =>
            go('reports', part, days, behind.metric, behind.by, ...(behind.value ? [behind.value] : [])),
          again,
        }
      : null;
  const Page = PAGES[part];
  return (
    <main class="admin reports">
      <nav class="subnav" aria-label={t('nav.reports')}>
        {PARTS.map((one) => (
          <a
            key={one}
            href={asWish && readWish(asWish) ? href('reports', one, days) : href('reports', one)}
            aria-current={one === part ? 'page' : undefined}
          >
            {t(`reports.part.${one}`)}
          </a>
        ))}
      </nav>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard. */}
      <section class="page" tabIndex={0} aria-label={t(`reports.part.${part}`)}>
        <h1>{t(`reports.part.${part}`)}</h1>
        <RangePicker part={part} wish={wish} span={span || null} />
        {view && <SpanText span={view.span} zone={view.zone} />}
        {failed && <Failure message={failed} again={again} />}
        {view ? <Page key={part} view={view} /> : !failed && <Empty>{t('loading')}</Empty>}
      </section>
      {view && metric && by && definitions.value.has(metric) && (
        <Sessions
          key={`${metric} ${by} ${value}`}
          behind={{ metric, by: by as Dimension, value }}
          view={view}
          onClose={() => go('reports', part, days)}
        />
      )}
      {defined.value && definitions.value.has(defined.value) && (
        <Definition of={definitions.value.get(defined.value)!} onClose={() => (defined.value = null)} />
      )}
    </main>
  );
}
