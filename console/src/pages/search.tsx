// Search over messages of the whole history.

import { useState } from 'preact/hooks';
import * as http from '../api/http';
import type { MessageHit } from '../api/types';
import { dateTime, t, tv } from '../i18n';
import { nameOf } from '../state/people';
import { href } from '../state/route';
import { Empty, Field, Snippet } from '../ui/parts';

const AUTHORS = ['customer', 'agent', 'bot', 'system', 'note'];

interface Found {
  items: MessageHit[];
  /** Absent where not everything may be read. */
  total?: number;
}

/** The moment at which a day begins here, or ends. */
function moment(day: FormDataEntryValue | null, end: boolean): string | undefined {
  if (!day) return undefined;
  return new Date(`${String(day)}T${end ? '23:59:59.999' : '00:00:00'}`).toISOString();
}

export function Search() {
  const [found, setFound] = useState<Found | null>(null);
  const [failed, setFailed] = useState('');

  async function search(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setFailed('');
    try {
      const query = {
        text: String(form.get('text')),
        author: String(form.get('author')),
        from: moment(form.get('from'), false),
        to: moment(form.get('to'), true),
        limit: 50,
      };
      setFound(await http.get<Found>('search/messages', query));
    } catch (error) {
      setFound(null);
      setFailed(error instanceof Error ? error.message : String(error));
    }
  }

  return (
    <main class="page">
      <h1>{t('search.title')}</h1>
      <search>
        <form class="form-row" onSubmit={search}>
          <div class="grow">
            <Field label={t('search.text')}>
              <input type="search" name="text" required autofocus />
            </Field>
          </div>
          <Field label={t('search.author')}>
            <select name="author">
              <option value="">{t('search.anybody')}</option>
              {AUTHORS.map((author) => (
                <option key={author} value={author}>
                  {tv('author', author)}
                </option>
              ))}
            </select>
          </Field>
          <Field label={t('search.from')}>
            <input type="date" name="from" />
          </Field>
          <Field label={t('search.to')}>
            <input type="date" name="to" />
          </Field>
          <button type="submit" class="primary">
            {t('search.do')}
          </button>
        </form>
      </search>
      <div aria-live="polite">
        <p class="form-error">{failed}</p>
        {!found && !failed && <p class="muted">{t('search.hint')}</p>}
        {found?.total !== undefined && found.total > 0 && (
          <p class="muted">{t('search.total', { n: found.total })}</p>
        )}
        {found && found.items.length === 0 && <Empty>{t('search.none')}</Empty>}
      </div>
      <ul class="hits">
        {found?.items.map((hit) => (
          <li key={`${hit.conversation} ${hit.id}`}>
            <a class="hit" href={href('inbox', 'all', hit.conversation, hit.id)}>
              <span class="hit-facts">
                <strong>
                  {hit.author_id && hit.author !== 'customer'
                    ? nameOf(hit.author_id)
                    : tv('author', hit.author)}
                </strong>
                <span>{hit.channel}</span>
                <time dateTime={new Date(hit.at_ms).toISOString()}>
                  {dateTime(new Date(hit.at_ms).toISOString())}
                </time>
              </span>
              <p class="text">
                <Snippet pieces={hit.snippet} />
              </p>
            </a>
          </li>
        ))}
      </ul>
    </main>
  );
}
