// What a figure means, in the server's own words: it is what the figure is computed by.

import type { FigureDefinition } from '../../api/types';
import { t } from '../../i18n';
import { figureName } from '../../i18n/figures';
import { defined, definitions, nameOfFigure } from '../../state/reports';
import { Dialog } from '../../ui/dialog';
import { Icon } from '../../ui/icons';

/** A button that opens the definition. */
export function About({ metric }: { metric: string }) {
  if (!definitions.value.has(metric)) return null;
  const label = t('reports.define', { name: nameOfFigure(metric) });
  return (
    <button
      type="button"
      class="icon-button about"
      aria-label={label}
      aria-haspopup="dialog"
      title={label}
      onClick={() => (defined.value = metric)}
    >
      <Icon name="info" />
    </button>
  );
}

export function Definition({ of, onClose }: { of: FigureDefinition; onClose(): void }) {
  return (
    <Dialog title={figureName(of)} onClose={onClose}>
      {of.edges && (
        <>
          <h3>{t('reports.define.edges')}</h3>
          <p lang="en">{withCode(of.edges)}</p>
        </>
      )}
      <h3>{t('reports.define.formula')}</h3>
      <p>
        <code>{of.formula}</code>
      </p>
      <h3>{t('reports.define.sources')}</h3>
      <dl class="sources">
        {Object.entries(of.sources).map(([measure, meaning]) => (
          <div key={measure}>
            <dt>
              <code>{measure}</code>
            </dt>
            <dd lang="en">{withCode(meaning)}</dd>
          </div>
        ))}
      </dl>
      <dl class="facts definition-facts">
        <div>
          <dt>{t('reports.define.version')}</dt>
          <dd>
            <code>
              {of.name}@{of.version}
            </code>
          </dd>
        </div>
        <div>
          <dt>{t('reports.define.unit')}</dt>
          <dd>{t(`reports.unit.${of.unit}`)}</dd>
        </div>
        <div>
          <dt>{t('reports.define.whose')}</dt>
          <dd>{t(`reports.whose.${of.whose}`)}</dd>
        </div>
        <div>
          <dt>{t('reports.define.by')}</dt>
          <dd>{['all', ...of.by].map((by) => t(`reports.table.${by as 'all'}`)).join(', ')}</dd>
        </div>
      </dl>
      <p class="muted">{t(of.sessions ? 'reports.define.list' : 'reports.define.noList')}</p>
    </Dialog>
  );
}

/** Names of events and settings stand between backticks. */
function withCode(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}
