// A button that saves a table as it is shown.

import { t } from '../i18n';
import { type CsvCell, csv } from '../model/csv';
import { download } from './download';

interface Props {
  /** Of what. */
  name: string;
  /** The name of the file, without the end. */
  file: string;
  rows(): CsvCell[][];
}

export function CsvButton({ name, file, rows }: Props) {
  return (
    <button
      type="button"
      class="csv"
      aria-label={t('reports.csvOf', { name })}
      onClick={() => download(`${file}.csv`, csv(rows()), 'text/csv')}
    >
      {t('reports.csv')}
    </button>
  );
}
