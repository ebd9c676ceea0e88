import { describe, expect, it } from 'vitest';
import type { LoggedCommit } from '../src/api/types';
import { merged, moment, rowThen, takeIntoThread, thread, timeline } from '../src/state/thread';
import { scenario } from './fixtures/scenario';

const log: LoggedCommit[] = scenario.map((commit, index) => ({ seq: 10 + index * 3, commit }));
const versions = (commits: LoggedCommit[]) => commits.map(({ commit }) => commit.version);

describe('pages of commits', () => {
  it('are put together, whatever overlaps', () => {
    for (let cut = 1; cut < log.length; cut += 1) {
      expect(merged(log.slice(cut), log.slice(0, cut + 1))).toEqual(log);
    }
  });
  it('are kept as far back as nothing is missing', () => {
    expect(versions(merged(log.slice(0, 3), log.slice(5, 9)))).toEqual([6, 7, 8, 9]);
  });
});

describe('the open conversation', () => {
  it('takes in what comes next, and nothing twice', () => {
    thread.value = { key: 'k', commits: log.slice(0, 4), more: false, loading: false };
    for (const { commit, seq } of log.slice(2)) takeIntoThread(commit, seq);
    expect(thread.value?.commits).toEqual(log);
    takeIntoThread({ ...log[0]!.commit, key: 'other' }, 999);
    expect(thread.value?.commits).toEqual(log);
  });
  it('keeps what comes while its first page is read', () => {
    thread.value = { key: 'k', commits: [], more: false, loading: true };
    takeIntoThread(log[7]!.commit, log[7]!.seq);
    takeIntoThread(log[8]!.commit, log[8]!.seq);
    expect(versions(merged(log.slice(0, 8), thread.value?.commits ?? []))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
  });
  it('shows how it was at a moment', () => {
    thread.value = { key: 'k', commits: log, more: false, loading: false };
    const whole = timeline.value.length;
    moment.value = log[2]!.commit.at;
    expect(rowThen.value).toMatchObject({ phase: 'offered', agent: 'ann', version: 3 });
    expect(timeline.value.length).toBeLessThan(whole);
    moment.value = null;
    expect(rowThen.value).toMatchObject({ phase: 'closed' });
    expect(timeline.value.length).toBe(whole);
  });
  it('does not claim to know an earlier moment where its beginning is not here', () => {
    thread.value = { key: 'k', commits: log.slice(3), more: true, loading: false };
    expect(rowThen.value).toBeNull();
  });
});
