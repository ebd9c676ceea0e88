// Everything at a glance: the customers' contact, what people did, and what the bot did, each by itself.

import { t } from '../../i18n';
import { OVERVIEW_CHARTS, OVERVIEW_TILES } from '../../model/reports/presets';
import { ask } from '../../state/reports';
import { Answer, type Asked, useAsked } from './asked';
import { Tiles, type Whole } from './tiles';
import type { View } from './view';
import { WholeCharts } from './wholeChart';

const TILES = [...OVERVIEW_TILES.all, ...OVERVIEW_TILES.people, ...OVERVIEW_TILES.bot];
const METRICS = [...new Set([...TILES, ...OVERVIEW_CHARTS.flatMap((chart) => chart.metrics)])];

/** Figures of the whole tenant, as they are and were, and their course. */
export function useWhole(metrics: readonly string[], view: View): Asked<Whole> {
  const { span, key } = view;
  return useAsked(key, async () => {
    const [now, before, course, courseBefore] = await Promise.all([
      ask({ by: 'all', metrics }, span.from, span.to),
      ask({ by: 'all', metrics }, span.before.from, span.before.to),
      ask({ by: 'all', metrics, step: span.step }, span.from, span.end),
      ask({ by: 'all', metrics, step: span.step }, span.before.from, span.before.end),
    ]);
    return { now, before, course, courseBefore };
  });
}

export function Overview({ view }: { view: View }) {
  const asked = useWhole(METRICS, view);
  return (
    <Answer asked={asked} again={view.again}>
      {(whole) => (
        <>
          <h2>{t('reports.whose.all')}</h2>
          <Tiles metrics={OVERVIEW_TILES.all} whole={whole} view={view} />
          <WholeCharts charts={OVERVIEW_CHARTS} whole={whole} view={view} />
          <h2>{t('reports.whose.people')}</h2>
          <Tiles metrics={OVERVIEW_TILES.people} whole={whole} view={view} />
          <h2>{t('reports.whose.bot')}</h2>
          <Tiles metrics={OVERVIEW_TILES.bot} whole={whole} view={view} />
        </>
      )}
    </Answer>
  );
}
