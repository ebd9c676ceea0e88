// Figures, which are no events: they are asked for. What they mean, and where the tenant's days begin, is asked once.

import { signal } from '@preact/signals';
import * as http from '../api/http';
import type {
  Dimension,
  FigureDefinition,
  Page,
  Report,
  ReportSession,
  ReportStep,
  ReportUnit,
} from '../api/types';
import { figureName } from '../i18n/figures';
import type { Period } from '../model/reports/period';
import { serverNow } from './clock';

export const definitions = signal<ReadonlyMap<string, FigureDefinition>>(new Map());
/** IANA name; `null` until it is known. */
export const zone = signal<string | null>(null);
/** The figure whose definition is open. */
export const defined = signal<string | null>(null);

export interface Question {
  by: Dimension;
  metrics: readonly string[];
  step?: ReportStep;
}

const HOUR_MS = 3_600_000;
const written = (at: number) => new Date(at).toISOString();

export async function ask({ by, metrics, step }: Question, from: number, to: number): Promise<Report> {
  const asked = { from: written(from), to: written(to), by, step, metrics: metrics.join(',') };
  const report = await http.get<Report>('reports', asked);
  // An administrator may have moved the tenant to another zone meanwhile.
  zone.value = report.zone;
  return report;
}

export async function loadDefinitions(): Promise<void> {
  const now = serverNow();
  const [{ items }] = await Promise.all([
    http.get<{ items: FigureDefinition[] }>('reports/metrics'),
    ask({ by: 'all', metrics: ['sessions_opened'] }, now - HOUR_MS, now),
  ]);
  definitions.value = new Map(items.map((one) => [one.name, one]));
}

export interface Behind {
  metric: string;
  by: Dimension;
  value?: string;
}

export const sessionsBehind = ({ metric, by, value }: Behind, { from, to }: Period, after?: string) =>
  http.get<Page<ReportSession>>('reports/sessions', {
    from: written(from),
    to: written(to),
    metric,
    by,
    value,
    after,
    limit: 50,
  });

/**
 * Whether there are sessions behind a figure that can be listed. A session does not remember all the entries that answered in it, so those
 * of one entry cannot.
 */
export function isListed(metric: string, by: Dimension, figure: number | undefined): boolean {
  if (by === 'entry' || figure === undefined) return false;
  const definition = definitions.value.get(metric);
  return definition?.sessions === true && !(definition.unit === 'count' && figure === 0);
}

export const unitOf = (metric: string): ReportUnit => definitions.value.get(metric)?.unit ?? 'count';

export function nameOfFigure(metric: string): string {
  const definition = definitions.value.get(metric);
  return definition ? figureName(definition) : metric;
}
