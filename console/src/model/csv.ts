// Tables as CSV (RFC 4180), for spreadsheets.

export type CsvCell = string | number | null | undefined;

/** What a spreadsheet takes for the beginning of a formula, where a text starts with it. */
const FORMULA = /^[\s]*[=+\-@\t\r\n＝＋－＠]/u;

/**
 * A field. Customers and entries may have names that a spreadsheet would run as a formula, so such a text gets an
 * apostrophe in front, which shows it as it is. Numbers are no texts: `-3` stays a number.
 */
export function csvField(cell: CsvCell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number') return Number.isFinite(cell) ? String(cell) : '';
  const text = FORMULA.test(cell) ? `'${cell}` : cell;
  return /[",;\r\n\t]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** All rows, each ended by CRLF; a byte order mark in front, without which some programs read UTF-8 as something else. */
export function csv(rows: CsvCell[][]): string {
  return `\uFEFF${rows.map((row) => `${row.map(csvField).join(',')}\r\n`).join('')}`;
}
