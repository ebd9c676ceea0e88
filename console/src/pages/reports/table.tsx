// A row of figures for each queue, agent, intent or entry, and one for everything.

import { useState } from 'preact/hooks';
import type { Dimension, Report } from '../../api/types';
import { locale, t } from '../../i18n';
import { changeText, figureText } from '../../i18n/figures';
import type { CsvCell } from '../../model/csv';
import { byValue, changeOf } from '../../model/reports/series';
import { clicked, type Sorting, sorted, type TableRow } from '../../model/reports/table';
import { isListed, nameOfFigure, unitOf } from '../../state/reports';
import { href } from '../../state/route';
import { can } from '../../state/session';
import { CsvButton } from '../../ui/csv';
import { Icon } from '../../ui/icons';
import { Empty } from '../../ui/parts';
import { About } from './definition';
import { type View, valueName } from './view';

interface Props {
  by: Exclude<Dimension, 'all'>;
  metrics: string[];
  main: string;
  now: Report;
  before: Report;
  whole: Report;
  wholeBefore: Report;
  view: View;
}

const WHOLE = '';

export function FigureTable({ by, metrics, main, now, before, whole, wholeBefore, view }: Props) {
  const [sorting, setSorting] = useState<Sorting>({ by: main, descending: true });
  const [compared, setCompared] = useState(true);
  const figuresBefore = byValue(before);
  const rows = [...byValue(now)].map(
    ([value, figures]): TableRow => ({
      value,
      name: valueName(by, value),
      figures,
      before: figuresBefore.get(value) ?? {},
    }),
  );
  if (rows.length === 0) return <Empty>{t('reports.chart.empty')}</Empty>;
  const shown = sorted(rows, sorting, locale());
  const everything: TableRow = {
    value: WHOLE,
    name: t('reports.table.whole'),
    figures: byValue(whole).get(WHOLE) ?? {},
    before: byValue(wholeBefore).get(WHOLE) ?? {},
  };
  const title = t(`reports.table.${by}`);
  const heading = metrics.flatMap((metric) => {
    const name = nameOfFigure(metric);
    return compared ? [name, t('reports.beforeName', { name })] : [name];
  });
  const line = (row: TableRow): CsvCell[] => [
    row.name,
    ...metrics.flatMap((metric) =>
      compared ? [row.figures[metric], row.before[metric]] : [row.figures[metric]],
    ),
  ];
  return (
    <>
      <div class="table-controls">
        <label>
          <input
            type="checkbox"
            checked={compared}
            onChange={(event) => setCompared(event.currentTarget.checked)}
          />{' '}
          {t('reports.compare')}
        </label>
        <CsvButton
          name={title}
          file={`${view.file}-${by}`}
          rows={() => [[title, ...heading], ...[...shown, everything].map(line)]}
        />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard. */}
      <section class="panel scroll-x" tabIndex={0} aria-label={title}>
        <table class="figure-table">
          <thead>
            <tr>
              <Heading sorting={sorting} by="" name={title} onSort={setSorting} />
              {metrics.map((metric) => (
                <Heading
                  key={metric}
                  sorting={sorting}
                  by={metric}
                  name={nameOfFigure(metric)}
                  onSort={setSorting}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <Row key={row.value} {...{ row, by, metrics, compared, view }} />
            ))}
          </tbody>
          <tfoot>
            <Row {...{ row: everything, by, metrics, compared, view }} />
          </tfoot>
        </table>
      </section>
    </>
  );
}

interface HeadingProps {
  sorting: Sorting;
  by: string;
  name: string;
  onSort(sorting: Sorting): void;
}

function Heading({ sorting, by, name, onSort }: HeadingProps) {
  const active = sorting.by === by;
  const direction = sorting.descending ? 'descending' : 'ascending';
  return (
    <th scope="col" class={by ? 'number' : undefined} aria-sort={active ? direction : undefined}>
      <span class="heading">
        <button type="button" class="sort" onClick={() => onSort(clicked(sorting, by))}>
          {name}
          {active && <Icon name={sorting.descending ? 'down' : 'up'} />}
        </button>
        {by && <About metric={by} />}
      </span>
    </th>
  );
}

interface RowProps {
  row: TableRow;
  by: Dimension;
  metrics: string[];
  compared: boolean;
  view: View;
}

function Row({ row, by, metrics, compared, view }: RowProps) {
  const of = row.value === WHOLE ? ({ by: 'all' } as const) : { by, value: row.value };
  return (
    <tr>
      <th scope="row">
        {by === 'entry' && row.value && can('entry.read') ? (
          <a href={href('knowledge', row.value)}>{row.name}</a>
        ) : (
          row.name
        )}
      </th>
      {metrics.map((metric) => {
        const [figure, was] = [row.figures[metric], row.before[metric]];
        const unit = unitOf(metric);
        const change = changeOf(figure, was, unit);
        const value = figureText(figure, unit);
        const name = nameOfFigure(metric);
        return (
          <td key={metric} class="number">
            {isListed(metric, of.by, figure) ? (
              <button
                type="button"
                class="link"
                aria-label={t('reports.sessions.ofRow', { value, name, row: row.name })}
                onClick={() => view.open({ metric, ...of })}
              >
                {value}
              </button>
            ) : (
              value
            )}
            {compared && (
              <small class="was">
                <span class="unseen">{t('reports.table.before')}</span> {figureText(was, unit)}
                {change && ` (${changeText(change)})`}
              </small>
            )}
          </td>
        );
      })}
    </tr>
  );
}
