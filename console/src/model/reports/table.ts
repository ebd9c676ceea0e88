// Rows of a table in the order that its headings were clicked into.

export interface Sorting {
  /** A figure's name; empty: by the rows' names. */
  by: string;
  descending: boolean;
}

export interface TableRow {
  value: string;
  name: string;
  figures: Record<string, number>;
  before: Record<string, number>;
}

/** What has nothing to tell comes last, whichever way is up. */
export function sorted(rows: TableRow[], { by, descending }: Sorting, locale?: string): TableRow[] {
  const sign = descending ? -1 : 1;
  const names = new Intl.Collator(locale, { numeric: true });
  const byName = (a: TableRow, b: TableRow) => names.compare(a.name, b.name);
  if (by === '') return rows.toSorted((a, b) => sign * byName(a, b));
  return rows.toSorted((a, b) => {
    const [left, right] = [a.figures[by], b.figures[by]];
    if (left === undefined || right === undefined) {
      if (left === right) return byName(a, b);
      return left === undefined ? 1 : -1;
    }
    return sign * (left - right) || byName(a, b);
  });
}

/** After a click on a heading: the other way round, or from the top where it was another. Names begin with A. */
export function clicked(sorting: Sorting, by: string): Sorting {
  return sorting.by === by ? { by, descending: !sorting.descending } : { by, descending: by !== '' };
}
