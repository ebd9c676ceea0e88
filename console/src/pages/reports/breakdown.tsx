// Figures of each queue, agent, intent or entry: one of them over time, and all of them in a table.

import { useMemo, useState } from 'preact/hooks';
import type { Report } from '../../api/types';
import { t } from '../../i18n';
import { AGENTS, type Breakdown, QUEUES } from '../../model/reports/presets';
import { busiest, type Line, linesBy, MAX_LINES, momentsOf } from '../../model/reports/series';
import { ask, nameOfFigure, unitOf } from '../../state/reports';
import { Chart } from '../../ui/chart';
import { Field } from '../../ui/parts';
import { Answer, useAsked } from './asked';
import { About } from './definition';
import { FigureTable } from './table';
import { type View, valueName } from './view';
import { WholeChart } from './wholeChart';

export const QueuesReport = ({ view }: { view: View }) => <BrokenDown {...QUEUES} view={view} />;
export const AgentsReport = ({ view }: { view: View }) => <BrokenDown {...AGENTS} view={view} />;

type Props = Breakdown & { view: View };

export function BrokenDown(props: Props) {
  const { by, metrics, view } = props;
  const { span } = view;
  const [metric, setMetric] = useState(props.main);
  const [together, setTogether] = useState(false);
  const asked = useAsked(view.key, async () => {
    const [now, before, whole, wholeBefore] = await Promise.all([
      ask({ by, metrics }, span.from, span.to),
      ask({ by, metrics }, span.before.from, span.before.to),
      ask({ by: 'all', metrics }, span.from, span.to),
      ask({ by: 'all', metrics }, span.before.from, span.before.to),
    ]);
    return { now, before, whole, wholeBefore };
  });
  const controls = (
    <div class="form-row chart-controls">
      <Field label={t('reports.chart.figure')}>
        <select value={metric} onChange={(event) => setMetric(event.currentTarget.value)}>
          {metrics.map((one) => (
            <option key={one} value={one}>
              {nameOfFigure(one)}
            </option>
          ))}
        </select>
      </Field>
      <Field label={t('reports.chart.lines')}>
        <select
          value={together ? 'together' : 'each'}
          onChange={(event) => setTogether(event.currentTarget.value === 'together')}
        >
          <option value="each">{t('reports.chart.each')}</option>
          <option value="together">{t('reports.chart.together')}</option>
        </select>
      </Field>
    </div>
  );
  return (
    <Answer asked={asked} again={view.again}>
      {(figures) => (
        <>
          {controls}
          {together ? (
            <Together metric={metric} view={view} />
          ) : (
            <Each {...props} metric={metric} now={figures.now} />
          )}
          <FigureTable {...props} {...figures} />
        </>
      )}
    </Answer>
  );
}

/** The tenant as a whole, beside what was before. */
function Together({ metric, view }: { metric: string; view: View }) {
  const { span } = view;
  const asked = useAsked(`${view.key} ${metric}`, async () => {
    const metrics = [metric];
    const [course, courseBefore] = await Promise.all([
      ask({ by: 'all', metrics, step: span.step }, span.from, span.end),
      ask({ by: 'all', metrics, step: span.step }, span.before.from, span.before.end),
    ]);
    return { course, courseBefore, metrics, name: t('reports.chart.by', { name: nameOfFigure(metric) }) };
  });
  return (
    <Answer asked={asked} again={view.again}>
      {(whole) => <WholeChart {...whole} view={view} />}
    </Answer>
  );
}

interface Series {
  metric: string;
  moments: string[];
  report: Report;
}

/** A line for each of those with most to do. */
function Each(props: Props & { metric: string; now: Report }) {
  const { by, metric, view } = props;
  const { span } = view;
  const asked = useAsked(`${view.key} ${metric}`, async () => {
    const [whole, report] = await Promise.all([
      ask({ by: 'all', metrics: [metric], step: span.step }, span.from, span.end),
      ask({ by, metrics: [metric], step: span.step }, span.from, span.end),
    ]);
    return { metric, moments: momentsOf(whole), report };
  });
  return (
    <Answer asked={asked} again={view.again}>
      {(series) => <EachDrawn {...props} series={series} />}
    </Answer>
  );
}

function EachDrawn({ by, main, now, view, series }: Props & { now: Report; series: Series }) {
  const { metric, moments, report } = series;
  const unit = unitOf(metric);
  const chosen = useMemo(() => busiest(now, main), [now, main]);
  // Agents' states change all the time, and their names hardly ever: the chart is drawn anew for these only.
  const names = JSON.stringify(chosen.map((value) => valueName(by, value)));
  const lines = useMemo((): Line[] => {
    const points = linesBy(report, moments, chosen, metric, unit, view.span.to);
    return chosen.map((value, tone) => ({
      key: value,
      name: valueName(by, value),
      points: points[tone] ?? [],
      tone,
    }));
  }, [series, chosen, names, by, unit]);
  const name = t('reports.chart.by', { name: nameOfFigure(metric) });
  return (
    <section class="panel chart-panel" aria-label={name}>
      <h3>
        {name} <About metric={metric} />
      </h3>
      <Chart
        {...{ name, moments, lines, unit }}
        step={view.span.step}
        zone={view.zone}
        file={`${view.file}-${by}-${metric}`}
      />
      {now.rows.length > MAX_LINES && <p class="muted">{t('reports.chart.some', { n: MAX_LINES })}</p>}
    </section>
  );
}
