// A figure by itself: what it is, how it was before, and its course.

import type { Report } from '../../api/types';
import { t } from '../../i18n';
import { changeText, figureText } from '../../i18n/figures';
import { byValue, changeOf, wholeLine } from '../../model/reports/series';
import { isListed, nameOfFigure, unitOf } from '../../state/reports';
import { Spark } from '../../ui/spark';
import { About } from './definition';
import type { View } from './view';

export interface Whole {
  now: Report;
  before: Report;
  course: Report;
  /** The whole of the days before, also of what of them is later than now. */
  courseBefore: Report;
}

export function Tiles({ metrics, whole, view }: { metrics: readonly string[]; whole: Whole; view: View }) {
  const now = byValue(whole.now).get('') ?? {};
  const before = byValue(whole.before).get('') ?? {};
  return (
    <div class="figures">
      {metrics.map((metric) => {
        const unit = unitOf(metric);
        const change = changeOf(now[metric], before[metric], unit);
        const value = figureText(now[metric], unit);
        const name = nameOfFigure(metric);
        return (
          <section key={metric} class="tile figure-tile" aria-label={name}>
            <h3>
              {name} <About metric={metric} />
            </h3>
            <p class="large">
              {isListed(metric, 'all', now[metric]) ? (
                <button
                  type="button"
                  class="link"
                  aria-label={t('reports.sessions.of', { value, name })}
                  onClick={() => view.open({ metric, by: 'all' })}
                >
                  {value}
                </button>
              ) : (
                value
              )}
              {change && <small>{changeText(change)}</small>}
            </p>
            <p class="muted">{t('reports.before', { value: figureText(before[metric], unit) })}</p>
            <Spark points={wholeLine(whole.course, metric, unit, view.span.to)} />
          </section>
        );
      })}
    </div>
  );
}
