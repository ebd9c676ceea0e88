// Which moment of the past the wall shows, and that it is the past.

import { useEffect, useState } from 'preact/hooks';
import { dateTime, t } from '../../i18n';
import {
  fieldMoment,
  fieldText,
  lastDay,
  lastPlace,
  momentAt,
  placeByKey,
  placeOf,
  reachFor,
} from '../../model/moments';
import { now, serverNow } from '../../state/clock';
import { began, learnBegin, look, moment, trouble, wallThen } from '../../state/wall';
import { Icon } from '../../ui/icons';
import { TimeSlider } from '../../ui/slider';

/** Stands at now until it is moved; whoever closes it is back there. */
export function Past({ onClose }: { onClose(): void }) {
  const [chosen, setChosen] = useState(() => lastDay(serverNow(), began.value));
  // Before it is known how far back one can look, the slider would offer what there is not.
  const [ready, setReady] = useState(began.value !== null);
  useEffect(() => {
    void learnBegin().then(() => setReady(true));
    return () => look(null);
  }, []);
  if (!ready) return null;

  // While it stands at now, its end goes on with the time.
  const at = moment.value;
  const reach = at === null ? lastDay(now.value, began.value) : chosen;
  const last = lastPlace(reach);
  const place = at === null ? last : placeOf(reach, at);
  const stand = (next: number) => {
    setChosen(reach);
    look(next >= last && reach.live ? null : momentAt(reach, Math.max(0, next)));
  };
  const lookAt = (text: string) => {
    const wished = fieldMoment(text);
    if (wished === null) return;
    const next = reachFor(reach, wished, serverNow(), began.value);
    setChosen(next);
    look(next.live && wished >= next.to ? null : wished);
  };
  const shown = at ?? now.value;
  return (
    <TimeSlider
      place={place}
      last={last}
      at={new Date(shown).toISOString()}
      onPlace={stand}
      onKey={(key) => placeByKey(key, place, last)}
      onClose={onClose}
    >
      <button
        type="button"
        class="icon-button"
        aria-label={t('wall.past.back')}
        disabled={place === 0}
        onClick={() => stand(place - 1)}
      >
        <Icon name="left" />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label={t('wall.past.forth')}
        disabled={at === null}
        onClick={() => stand(place + 1)}
      >
        <Icon name="right" />
      </button>
      <input
        type="datetime-local"
        aria-label={t('wall.past.field')}
        value={fieldText(shown)}
        max={fieldText(serverNow())}
        onChange={(event) => lookAt(event.currentTarget.value)}
      />
      <button type="button" disabled={at === null} onClick={() => look(null)}>
        {t('wall.past.now')}
      </button>
    </TimeSlider>
  );
}

/** Says so, as long as it is the past that is shown. */
export function PastMarker() {
  const at = moment.value;
  if (at === null) return null;
  const isShown = wallThen.value !== null && Date.parse(wallThen.value.at) === at;
  const words = trouble.value || t(isShown ? 'wall.past.paused' : 'wall.past.reading');
  return (
    <p class={trouble.value ? 'past-marker bad' : 'past-marker'} role="status">
      <Icon name="history" />
      <strong>{t('wall.past', { at: dateTime(new Date(at).toISOString()) })}</strong>
      <span>{words}</span>
    </p>
  );
}
