// Versions of a document or an entry: who changed it when, what differs from now, and the way back.

import { useState } from 'preact/hooks';
import { dateTime, t } from '../i18n';
import { diff, pretty } from '../model/diff';

export interface Version {
  number: number;
  at: string;
  by: string;
  comment?: string | null;
  rolledBackTo?: number | null;
  value: unknown;
  badge?: string;
}

interface Props {
  versions: Version[];
  current: unknown;
  /** Absent where the user may not. */
  rollback?(version: number): void;
}

export function History({ versions, current, rollback }: Props) {
  const [shown, setShown] = useState<number | null>(null);
  const newest = Math.max(...versions.map((version) => version.number));
  return (
    <section aria-label={t('history.title')}>
      <h2>{t('history.title')}</h2>
      <ol>
        {versions
          .toSorted((a, b) => b.number - a.number)
          .map((version) => (
            <li key={version.number} class="version">
              <div class="version-head">
                <strong>{t('history.version', { n: version.number })}</strong>
                {version.badge && <span class="badge">{version.badge}</span>}
                <span class="muted">
                  {dateTime(version.at)} · {t('history.by', { by: version.by.replace(/^\w+:/, '') })}
                </span>
                {typeof version.rolledBackTo === 'number' && (
                  <span class="muted">{t('history.rolledBack', { n: version.rolledBackTo })}</span>
                )}
                {version.comment && <span>{version.comment}</span>}
                <span class="grow" />
                <button
                  type="button"
                  class="link"
                  aria-expanded={shown === version.number}
                  onClick={() => setShown(shown === version.number ? null : version.number)}
                >
                  {t('history.diff')}
                </button>
                {rollback && version.number !== newest && (
                  <button type="button" onClick={() => rollback(version.number)}>
                    {t('history.rollback')}
                  </button>
                )}
              </div>
              {shown === version.number && <Diff before={version.value} after={current} />}
            </li>
          ))}
      </ol>
    </section>
  );
}

function Diff({ before, after }: { before: unknown; after: unknown }) {
  const lines = diff(pretty(before), pretty(after));
  if (lines.every((line) => line.kind === 'same')) return <p class="muted">{t('history.same')}</p>;
  const sign = { same: ' ', added: '+', removed: '−' };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: whatever scrolls must be reachable by keyboard.
    <pre class="diff" tabIndex={0}>
      {lines.map((line, index) => (
        <span key={index} class={line.kind}>
          {sign[line.kind]} {line.text}
        </span>
      ))}
    </pre>
  );
}
