// From the rows of a report to what is drawn: lines over the same moments, and how figures have changed.

import type { Report, ReportRow, ReportUnit } from '../../api/types';

export type Points = (number | null)[];

export interface Line {
  /** Stays the same while it is the same line. */
  key: string;
  name: string;
  points: Points;
  /** Which of the colours; `before`: what it is compared with. */
  tone: number | 'before';
}

/** Lines in a chart, at most: as many as there are colours that can be told apart. */
export const MAX_LINES = 6;

/** Figures by the value that they belong to. */
export function byValue(report: Report | undefined): Map<string, Record<string, number>> {
  return new Map((report?.rows ?? []).map((row) => [row.value ?? '', row.figures]));
}

/** The moments of a series, which the report of the whole has without gaps. */
export const momentsOf = (whole: Report): string[] => whole.rows.flatMap((row) => row.at ?? []);

/** A figure at each moment. Where nothing was counted, a count is 0 and everything else has nothing to tell. */
function pointsOf(
  rows: Map<string, ReportRow>,
  moments: string[],
  metric: string,
  unit: ReportUnit,
  until: number,
): Points {
  return moments.map((at) => {
    // What is still to come is not 0.
    if (Date.parse(at) >= until) return null;
    return rows.get(at)?.figures[metric] ?? (unit === 'count' ? 0 : null);
  });
}

/** A figure of the whole at each moment; `until`: what is not over yet ends here. */
export function wholeLine(
  whole: Report,
  metric: string,
  unit: ReportUnit,
  until = Number.POSITIVE_INFINITY,
): Points {
  const rows = new Map(whole.rows.map((row) => [row.at ?? '', row]));
  return pointsOf(rows, momentsOf(whole), metric, unit, until);
}

/** A line for each of these values. */
export function linesBy(
  report: Report,
  moments: string[],
  values: string[],
  metric: string,
  unit: ReportUnit,
  until: number,
): Points[] {
  const found = new Map<string, Map<string, ReportRow>>(values.map((value) => [value, new Map()]));
  for (const row of report.rows) found.get(row.value ?? '')?.set(row.at ?? '', row);
  return values.map((value) => pointsOf(found.get(value) ?? new Map(), moments, metric, unit, until));
}

/** What was before, step by step beside what is: a day on which the clocks were changed has a step more or less. */
export function alongside(points: Points, length: number): Points {
  return Array.from({ length }, (_, index) => points[index] ?? null);
}

/** The values of which there is most. */
export function busiest(report: Report, metric: string, most = MAX_LINES): string[] {
  const rows = report.rows.filter((row) => row.value);
  const amount = (row: ReportRow) => row.figures[metric] ?? 0;
  return rows
    .toSorted((a, b) => amount(b) - amount(a) || ((a.value ?? '') < (b.value ?? '') ? -1 : 1))
    .slice(0, most)
    .map((row) => row.value ?? '');
}

/** Whether there is nothing to draw. */
export function isEmpty(lines: { points: Points }[]): boolean {
  return lines.every((line) => line.points.every((point) => point === null || point === 0));
}

export type Change =
  /** Relative to what was, as a share: 0.1 is a tenth more. */
  | { kind: 'relative'; by: number }
  /** A difference of shares, in percentage points. */
  | { kind: 'points'; by: number }
  /** A difference in the figure's own unit. */
  | { kind: 'difference'; by: number };

/** How a figure has changed; `null` where one of both is not there, or nothing can be relative to it. */
export function changeOf(
  now: number | undefined,
  before: number | undefined,
  unit: ReportUnit,
): Change | null {
  if (now === undefined || before === undefined) return null;
  if (unit === 'share') return { kind: 'points', by: (now - before) * 100 };
  if (unit === 'score' || unit === 'mean') return { kind: 'difference', by: now - before };
  // Beside a number below 0, such as a shrinking backlog, a share says nothing.
  return before > 0 ? { kind: 'relative', by: (now - before) / before } : null;
}

/** A path through points in a box; what has nothing to tell is left out, a lonely point is a dot. Empty: nothing to draw. */
export function sparkPath(points: Points, width: number, height: number): string {
  const known = points.filter((point) => point !== null);
  if (known.length === 0) return '';
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  const x = (index: number) => round(points.length > 1 ? (index / (points.length - 1)) * width : width / 2);
  const y = (point: number) => round(high > low ? height - ((point - low) / (high - low)) * height : height);
  let path = '';
  points.forEach((point, index) => {
    if (point === null) return;
    const starts = index === 0 || points[index - 1] === null;
    const alone = starts && (points[index + 1] ?? null) === null;
    // A line of no length has round ends, which is a dot.
    path += starts ? `M${x(index)} ${y(point)}${alone ? 'h0' : ''}` : `L${x(index)} ${y(point)}`;
  });
  return path;
}

const round = (number: number) => Math.round(number * 10) / 10;
