// A line of a word's height beside a figure. The figure says it; the line is for the eye only.

import { type Points, sparkPath } from '../model/reports/series';

const [WIDTH, HEIGHT, MARGIN] = [120, 26, 2];

export function Spark({ points }: { points: Points }) {
  const path = sparkPath(points, WIDTH, HEIGHT);
  const box = `${-MARGIN} ${-MARGIN} ${WIDTH + 2 * MARGIN} ${HEIGHT + 2 * MARGIN}`;
  return (
    <svg class="spark" viewBox={box} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      {path && <path d={path} vector-effect="non-scaling-stroke" />}
    </svg>
  );
}
