import { describe, expect, it } from 'vitest';
import {
  fieldMoment,
  fieldText,
  lastDay,
  lastPlace,
  momentAt,
  placeByKey,
  placeOf,
  type Reach,
  reachFor,
} from '../src/model/moments';

const HOUR = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12, 34, 56, 789);

function claimWhole(reach: Reach) {
  const last = lastPlace(reach);
  expect(last).toBeLessThanOrEqual(1441);
  for (let place = 0; place <= last; place += 1) {
    const moment = momentAt(reach, place);
    expect(placeOf(reach, moment)).toBe(place);
    if (place < last) expect(moment % reach.step).toBe(0);
    if (place > 0) expect(moment).toBeGreaterThan(momentAt(reach, place - 1));
  }
}

describe('moments of a slider', () => {
  it('are the minutes of the last day, and now', () => {
    const reach = lastDay(now, null);
    expect(reach).toMatchObject({ step: 60_000, live: true });
    expect(now - reach.from).toBeGreaterThan(24 * HOUR - 120_000);
    expect(now - reach.from).toBeLessThanOrEqual(24 * HOUR + 2000);
    claimWhole(reach);
  });

  it('are nearer to each other where there was nothing before, and none is from before', () => {
    for (const age of [500, 3000, 90_000, 2 * HOUR, 5 * HOUR, 23 * HOUR]) {
      const reach = lastDay(now, now - age);
      claimWhole(reach);
      if (age > 3000) expect(reach.from).toBeGreaterThanOrEqual(now - age);
      expect(reach.to).toBeLessThan(now);
    }
    expect(lastDay(now, now - 60_000).step).toBe(1000);
    expect(lastDay(now, now - 5 * HOUR).step).toBe(15_000);
  });

  it('stay where a moment is among them, and are the day around it where it is not', () => {
    const reach = lastDay(now, null);
    expect(reachFor(reach, now - HOUR, now, null)).toBe(reach);
    const far = reachFor(reach, now - 100 * HOUR, now, null);
    expect(far.live).toBe(false);
    expect([far.from < now - 111 * HOUR, far.to > now - 89 * HOUR]).toEqual([true, true]);
    claimWhole(far);
    expect(Math.abs(momentAt(far, placeOf(far, now - 100 * HOUR)) - (now - 100 * HOUR))).toBeLessThan(60_000);
    // Back among the last ones, it ends with now again.
    expect(reachFor(far, now - HOUR, now, null)).toEqual(reach);
    const begun = reachFor(reach, now - 100 * HOUR, now, now - 101 * HOUR);
    expect(begun.from).toBeGreaterThanOrEqual(now - 101 * HOUR);
  });

  it('are gone through by pages, without leaving what there is', () => {
    expect(placeByKey('PageDown', 20, 100)).toBe(5);
    expect(placeByKey('PageDown', 5, 100)).toBe(0);
    expect(placeByKey('PageUp', 90, 100)).toBe(100);
    expect(placeByKey('ArrowLeft', 90, 100)).toBeNull();
    expect(momentAt(lastDay(now, null), -3)).toBe(lastDay(now, null).from);
  });

  it('are written as a field has them, and read back to the minute', () => {
    const minute = Math.floor(now / 60_000) * 60_000;
    expect(fieldMoment(fieldText(now))).toBe(minute);
    expect(fieldText(now)).toMatch(/^2026-11-2\dT\d\d:\d\d$/);
    expect(fieldMoment('')).toBeNull();
    expect(fieldMoment('2026-11-')).toBeNull();
  });
});
