// What has changed between two texts, line by line.

export interface DiffLine {
  kind: 'same' | 'added' | 'removed';
  text: string;
}

/** More lines than this are not compared one by one: the table would be too large for a page. */
const MAX_LINES = 3000;

/** By the longest common subsequence of lines, so that what stayed is shown as such. */
export function diff(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  if (a.length > MAX_LINES || b.length > MAX_LINES) {
    return [...a.map((text) => line('removed', text)), ...b.map((text) => line('added', text))];
  }
  const width = b.length + 1;
  // length[i * width + j]: how many lines the rests from `i` and from `j` have in common.
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      length[at] =
        a[i] === b[j] ? length[at + width + 1]! + 1 : Math.max(length[at + width]!, length[at + 1]!);
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push(line('same', a[i]!));
      i += 1;
      j += 1;
    } else if (length[(i + 1) * width + j]! >= length[i * width + j + 1]!) {
      lines.push(line('removed', a[i]!));
      i += 1;
    } else {
      lines.push(line('added', b[j]!));
      j += 1;
    }
  }
  lines.push(
    ...a.slice(i).map((text) => line('removed', text)),
    ...b.slice(j).map((text) => line('added', text)),
  );
  return lines;
}

function line(kind: DiffLine['kind'], text: string): DiffLine {
  return { kind, text };
}

/** JSON as people compare it: names in order, one value per line. */
export function pretty(value: unknown): string {
  return JSON.stringify(value, sorted, 2) ?? '';
}

function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
