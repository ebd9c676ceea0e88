// What every part of a report's page knows.

import type { Dimension } from '../../api/types';
import { t } from '../../i18n';
import type { Span } from '../../model/reports/period';
import type { Part } from '../../model/reports/presets';
import { nameOf } from '../../state/people';
import type { Behind } from '../../state/reports';

export interface View {
  part: Part;
  span: Span;
  /** Where the tenant's days begin. */
  zone: string;
  /** All that answers depend on. */
  key: string;
  /** What the names of files begin with. */
  file: string;
  /** Shows the sessions behind a figure. */
  open(behind: Behind): void;
  /** Asks again for everything. */
  again(): void;
}

/** What people call a queue, an agent, an entry, … */
export function valueName(by: Dimension, value: string): string {
  if (!value) return t('reports.table.whole');
  return by === 'agent' ? nameOf(value) : value;
}
