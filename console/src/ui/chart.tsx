// Lines over time, on a canvas; and the same as a table, which is what is read aloud, copied and saved.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { ReportStep, ReportUnit } from '../api/types';
import { t } from '../i18n';
import { axisText, figureText, stepText } from '../i18n/figures';
import { isEmpty, type Line } from '../model/reports/series';
import { language } from '../state/prefs';
import { CsvButton } from './csv';
import { Empty } from './parts';
import { useColours } from './theme';

const HEIGHT = 230;
/** Up to this many steps every one of them is marked: a month of days. */
const FEW_POINTS = 31;
/** From here on lines are thin, or they would hide each other. */
const MANY_POINTS = 120;
const STEP_S: Record<ReportStep, number> = { minute: 60, hour: 3_600, day: 86_400 };

interface Props {
  /** What it shows. */
  name: string;
  /** When each step begins. */
  moments: string[];
  lines: Line[];
  unit: ReportUnit;
  step: ReportStep;
  zone: string;
  /** The name of its file, without the end. */
  file: string;
}

export function Chart(props: Props) {
  const { name, moments, lines, unit, step, zone } = props;
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [at, setAt] = useState<number | null>(null);
  const empty = isEmpty(lines);
  const shown = at === null ? undefined : moments[at];
  const toggle = (key: string) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    setHidden(next);
  };
  return (
    <figure class="chart">
      {empty ? (
        <Empty>{t('reports.chart.empty')}</Empty>
      ) : (
        <>
          <Canvas {...props} hidden={hidden} onMove={setAt} />
          <div class="legend">
            <ul aria-label={t('reports.chart.legend')}>
              {lines.map((line) => (
                <li key={line.key}>
                  <button
                    type="button"
                    class="legend-line"
                    aria-pressed={!hidden.has(line.key)}
                    onClick={() => toggle(line.key)}
                  >
                    <span class={`swatch line-${line.tone}`} aria-hidden="true" />
                    <span class="clip">{line.name}</span>
                    {at !== null && <span class="figure">{figureText(line.points[at], unit)}</span>}
                  </button>
                </li>
              ))}
            </ul>
            <span class="muted figure">{shown && stepText(Date.parse(shown), step, zone)}</span>
          </div>
          <AsTable {...props} name={name} />
        </>
      )}
    </figure>
  );
}

interface CanvasProps extends Props {
  hidden: ReadonlySet<string>;
  onMove(index: number | null): void;
}

function Canvas({ name, moments, lines, unit, step, zone, hidden, onMove }: CanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const colours = useColours(box);
  const locale = language.value;
  useEffect(() => {
    const element = box.current;
    if (!element || !colours) return;
    const half = STEP_S[step] / 2;
    const times = moments.map((moment) => Date.parse(moment) / 1000);
    const isBefore = (line: Line) => line.tone === 'before';
    const bars = unit === 'count' && lines.filter((line) => !isBefore(line)).length === 1;
    // What was before lies behind the lines of now, but would not be seen behind bars.
    const drawn = lines.toSorted((a, b) => (Number(isBefore(b)) - Number(isBefore(a))) * (bars ? -1 : 1));
    const axis = {
      stroke: colours.muted,
      font: `12px ${colours.font}`,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
    };
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [10, 24, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: { drag: { x: false, y: false }, y: false },
      scales: {
        x: { range: [times[0]! - half, times.at(-1)! + half] },
        y: { range: (_, low, high) => rangeOf(unit, low, high) },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 26,
          gap: 4,
          space: 64,
          incrs: step === 'day' ? DAYS : [...HOURS, ...DAYS],
          values: (_, splits, __, ___, apart) => splits.map((split) => axisText(split * 1000, apart, zone)),
        },
        {
          ...axis,
          incrs: unit === 'seconds' ? TIMES : unit === 'count' ? WHOLE : NUMBERS,
          size: (_, values) => 16 + 7 * Math.max(3, ...(values ?? []).map((value) => value.length)),
          values: (_, splits) => splits.map((split) => figureText(split, unit)),
        },
      ],
      series: [
        {},
        ...drawn.map((line): uPlot.Series => {
          const stroke = colours.of(line.tone);
          const isBar = bars && !isBefore(line);
          return {
            label: line.name,
            show: !hidden.has(line.key),
            stroke,
            width: isBar ? 0 : line.points.length > MANY_POINTS ? 1.2 : 2,
            dash: isBefore(line) ? [5, 4] : undefined,
            fill: isBar ? stroke : undefined,
            paths: isBar ? uPlot.paths.bars?.({ size: [0.7, 48] }) : undefined,
            points: pointsOf(line, isBar, stroke),
          };
        }),
      ],
      hooks: {
        setCursor: [(plot) => onMove(plot.cursor.idx ?? null)],
        // It is drawn a moment after it was made: tests and pictures wait for this.
        draw: [() => (element.dataset.drawn = 'yes')],
      },
    };
    const plot = new uPlot(options, [times, ...drawn.map((line) => line.points)], element);
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== plot.width) {
        plot.setSize({ width: element.clientWidth, height: HEIGHT });
      }
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      delete element.dataset.drawn;
      plot.destroy();
    };
  }, [moments, lines, unit, step, zone, hidden, colours, locale]);
  return <div ref={box} class="canvas" role="img" aria-label={t('reports.chart.alt', { name })} />;
}

/** Points where they are few, and where one stands alone, since a line of one point is not seen. */
function pointsOf(line: Line, isBar: boolean, fill: string): uPlot.Series.Points {
  if (isBar) return { show: false };
  const { points, tone } = line;
  const known = (at: number) => (points[at] ?? null) !== null;
  const alone = points.flatMap((_, at) => (known(at) && !known(at - 1) && !known(at + 1) ? [at] : []));
  const show = tone !== 'before' && points.length <= FEW_POINTS;
  return { size: 5, fill, show, filter: () => (show ? null : alone) };
}

/** All scales begin at 0, so that a small change does not look like a great one; shares end at 100 %. */
function rangeOf(unit: ReportUnit, low: number | null, high: number | null): [number, number] {
  const [least, most] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  if (unit === 'share') return [least, Math.max(1, most)];
  return [least, most > least ? most + (most - least) * 0.06 : least + 1];
}

const POWERS = Array.from({ length: 13 }, (_, index) => 10 ** (index - 3));
const NUMBERS = POWERS.flatMap((power) => [power, 2 * power, 2.5 * power, 5 * power]);
const WHOLE = POWERS.filter((power) => power >= 1).flatMap((power) => [power, 2 * power, 5 * power]);
const HOURS = [60, 300, 900, ...[1, 2, 3, 4, 6, 8, 12].map((hours) => 3_600 * hours)];
/** Days, months and years, as the chart's own calendar knows them: of 30 and 365 days. */
const DAYS = [1, 2, 3, 4, 5, 7, 10, 15, 30, 60, 90, 180, 365, 730].map((days) => 86_400 * days);
/** Steps between times that are said in milliseconds, seconds, minutes, hours and days. */
const TIMES = [
  ...[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30],
  ...[60, 120, 300, 600, 900, 1_200, 1_800],
  ...[3_600, 7_200, 10_800, 21_600, 43_200],
  ...POWERS.filter((power) => power >= 1).flatMap((power) => [
    86_400 * power,
    172_800 * power,
    432_000 * power,
  ]),
];

function AsTable({ name, moments, lines, unit, step, zone, file }: Props) {
  const [open, setOpen] = useState(false);
  const indices = useMemo(
    () =>
      moments.map((_, index) => index).filter((index) => lines.some((line) => line.points[index] !== null)),
    [moments, lines],
  );
  const heading = [t('reports.table.when'), ...lines.map((line) => line.name)];
  return (
    <details class="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('reports.chart.table')}</summary>
      {/* A year has many rows: they are made when they are wanted. */}
      {open && (
        <>
          <CsvButton
            name={name}
            file={file}
            rows={() => [
              heading,
              ...indices.map((at) => [moments[at], ...lines.map((one) => one.points[at])]),
            ]}
          />
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard. */}
          <section class="panel scroll" tabIndex={0} aria-label={name}>
            <table>
              <thead>
                <tr>
                  {heading.map((text, index) => (
                    <th key={index} scope="col" class={index > 0 ? 'number' : undefined}>
                      {text}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {indices.map((at) => (
                  <tr key={moments[at]}>
                    <th scope="row">{stepText(Date.parse(moments[at]!), step, zone)}</th>
                    {lines.map((line) => (
                      <td key={line.key} class="number">
                        {figureText(line.points[at], unit)}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </>
      )}
    </details>
  );
}
