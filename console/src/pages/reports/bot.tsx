// What the bot did, and which entries of the knowledge base its answers rest on.

import { t } from '../../i18n';
import { BOT_CHARTS, BOT_TILES, ENTRIES, INTENTS } from '../../model/reports/presets';
import { Answer } from './asked';
import { BrokenDown } from './breakdown';
import { useWhole } from './overview';
import { Tiles } from './tiles';
import type { View } from './view';
import { WholeCharts } from './wholeChart';

const METRICS = [...new Set([...BOT_TILES, ...BOT_CHARTS.flatMap((chart) => chart.metrics)])];

export function BotReport({ view }: { view: View }) {
  const asked = useWhole(METRICS, view);
  return (
    <>
      <Answer asked={asked} again={view.again}>
        {(whole) => (
          <>
            <Tiles metrics={BOT_TILES} whole={whole} view={view} />
            <WholeCharts charts={BOT_CHARTS} whole={whole} view={view} />
          </>
        )}
      </Answer>
      <h2>{t('reports.intents')}</h2>
      <BrokenDown {...INTENTS} view={view} />
      <h2>{t('reports.entries')}</h2>
      <BrokenDown {...ENTRIES} view={view} />
    </>
  );
}
