// Answers from the knowledge base to what the customer asked last: adopt, edit or reject; the base learns from each.

import { useEffect, useState } from 'preact/hooks';
import { post } from '../../api/http';
import type { Answered, Candidate } from '../../api/types';
import { percent, t } from '../../i18n';
import type { Row } from '../../model/fold';
import { lastQuestion } from '../../model/timeline';
import { act, giveFeedback } from '../../state/link';
import { can } from '../../state/session';
import { timeline } from '../../state/thread';
import { Icon } from '../../ui/icons';
import { allowed } from './actions';
import { adopted, insertion } from './composer';

/** More than these nobody reads while a customer waits. */
const SHOWN = 3;
/** Less likely ones are noise. */
const LEAST = 0.03;

export function Suggestions({ row }: { row: Row }) {
  const question = lastQuestion(timeline.value);
  const [found, setFound] = useState<Candidate[]>([]);
  const [gone, setGone] = useState<string[]>([]);
  const wanted = allowed(row).includes('reply') && can('entry.read') && question !== '';

  useEffect(() => {
    setFound([]);
    setGone([]);
    if (!wanted) return;
    let current = true;
    // A moment, since customers write a question in several messages.
    const timer = setTimeout(async () => {
      try {
        const answered = await post<Answered>('ask', { question, channel: row.channel });
        if (current) setFound(answered.candidates.filter((one) => one.probability >= LEAST));
      } catch {
        // A tenant without a knowledge base has no suggestions.
      }
    }, 300);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [row.key, question, wanted]);

  const shown = found.filter((one) => !gone.includes(one.entry)).slice(0, SHOWN);
  if (!wanted || shown.length === 0) return null;

  const drop = (entry: string) => setGone([...gone, entry]);

  async function adopt(one: Candidate) {
    drop(one.entry);
    if (await act(row.key, { type: 'reply', content: { kind: 'text', text: one.answer } })) {
      void giveFeedback(one.entry, one.entry_version, 'adopted', row.key);
    }
  }

  function edit(one: Candidate) {
    adopted.value = { key: row.key, entry: one.entry, version: one.entry_version, text: one.answer };
    insertion.value = { key: row.key, text: one.answer };
    drop(one.entry);
  }

  function reject(one: Candidate) {
    void giveFeedback(one.entry, one.entry_version, 'rejected', row.key);
    drop(one.entry);
  }

  return (
    <section class="suggestions" aria-label={t('suggest.title')}>
      <h3>
        <Icon name="bulb" /> {t('suggest.title')}
      </h3>
      <ul>
        {shown.map((one) => (
          <li key={one.entry} class="suggestion">
            <details>
              <summary>
                <span class="grow clip">{one.question}</span>
                <span class="badge">{percent(one.probability)}</span>
              </summary>
              <p class="text">{one.answer}</p>
            </details>
            <div class="suggestion-buttons">
              <button type="button" data-key="adopt" onClick={() => adopt(one)}>
                {t('suggest.adopt')}
              </button>
              <button type="button" class="quiet" onClick={() => edit(one)}>
                {t('suggest.edit')}
              </button>
              <button type="button" class="quiet" onClick={() => reject(one)}>
                {t('suggest.reject')}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
