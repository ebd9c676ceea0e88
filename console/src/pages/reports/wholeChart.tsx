// A chart of the whole tenant, its first line beside what was before.

import { useMemo } from 'preact/hooks';
import type { Report } from '../../api/types';
import { t } from '../../i18n';
import type { Chart as ChartOf } from '../../model/reports/presets';
import { alongside, type Line, momentsOf, wholeLine } from '../../model/reports/series';
import { nameOfFigure, unitOf } from '../../state/reports';
import { Chart } from '../../ui/chart';
import { About } from './definition';
import type { Whole } from './tiles';
import type { View } from './view';

interface Props {
  /** What it is called. */
  name: string;
  /** All of one unit. */
  metrics: readonly string[];
  course: Report;
  courseBefore: Report;
  view: View;
}

export function WholeChart({ name, metrics, course, courseBefore, view }: Props) {
  const unit = unitOf(metrics[0] ?? '');
  const [moments, lines] = useMemo(() => {
    const moments = momentsOf(course);
    const lines: Line[] = metrics.map((metric, tone) => ({
      key: metric,
      name: nameOfFigure(metric),
      points: wholeLine(course, metric, unit, view.span.to),
      tone,
    }));
    for (const metric of metrics.slice(0, 1)) {
      const points = alongside(wholeLine(courseBefore, metric, unit), moments.length);
      const before = t('reports.beforeName', { name: nameOfFigure(metric) });
      lines.splice(1, 0, { key: `${metric} before`, name: before, points, tone: 'before' });
    }
    return [moments, lines] as const;
  }, [course, courseBefore, metrics, view.key, name]);
  return (
    <section class="panel chart-panel" aria-label={name}>
      <h3>
        {name} {metrics.length === 1 && <About metric={metrics[0]!} />}
      </h3>
      <Chart
        name={name}
        moments={moments}
        lines={lines}
        unit={unit}
        step={view.span.step}
        zone={view.zone}
        file={`${view.file}-${metrics[0]}`}
      />
    </section>
  );
}

export function WholeCharts({ charts, whole, view }: { charts: ChartOf[]; whole: Whole; view: View }) {
  const { course, courseBefore } = whole;
  return (
    <div class="charts">
      {charts.map(({ name, metrics }) => (
        <WholeChart
          key={name}
          {...{ metrics, course, courseBefore, view }}
          name={t(`reports.chart.${name}`)}
        />
      ))}
    </div>
  );
}
