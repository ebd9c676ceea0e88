// What is asked of the server for a page: what came last stays on the screen, dimmed, until something newer has come.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from '../../i18n';
import { Empty } from '../../ui/parts';

export interface Asked<T> {
  value: T | null;
  failed: string;
  /** What the value was asked for with. */
  key: string;
  /** Whether something newer is on its way. */
  busy: boolean;
}

/** `key`: all that the answer depends on. What comes too late for it is dropped. */
export function useAsked<T>(key: string, load: () => Promise<T>): Asked<T> {
  const [asked, setAsked] = useState<Omit<Asked<T>, 'busy'>>({ value: null, failed: '', key: '' });
  useEffect(() => {
    let wanted = true;
    load().then(
      (value) => wanted && setAsked({ value, failed: '', key }),
      (error: unknown) => {
        if (!wanted) return;
        setAsked({ value: null, failed: error instanceof Error ? error.message : String(error), key });
      },
    );
    return () => {
      wanted = false;
    };
  }, [key]);
  return { ...asked, busy: asked.key !== key };
}

interface Props<T> {
  asked: Asked<T>;
  again(): void;
  children(value: T): ComponentChildren;
}

/** Draws what was asked for, once it is there. */
export function Answer<T>({ asked, again, children }: Props<T>) {
  if (asked.failed) return <Failure message={asked.failed} again={again} />;
  if (asked.value === null) return <Empty>{t('loading')}</Empty>;
  return (
    <div class="answer" aria-busy={asked.busy}>
      {children(asked.value)}
    </div>
  );
}

export function Failure({ message, again }: { message: string; again(): void }) {
  return (
    <p class="form-error" role="alert">
      {t('reports.failed', { message })}{' '}
      <button type="button" onClick={again}>
        {t('reports.again')}
      </button>
    </p>
  );
}
