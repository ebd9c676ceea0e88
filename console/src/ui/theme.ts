// Colours for what is drawn on a canvas, which knows no style sheet: they are read from the page, again whenever its theme
// changes.

import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export interface Colours {
  muted: string;
  grid: string;
  font: string;
  of(tone: number | 'before'): string;
}

/** The colour that a class gives to the background of what has it. */
function background(inside: Element, className: string): string {
  const probe = document.createElement('span');
  probe.className = className;
  inside.append(probe);
  const colour = getComputedStyle(probe).backgroundColor;
  probe.remove();
  return colour;
}

function read(element: Element): Colours {
  const { color, fontFamily } = getComputedStyle(element);
  const known = new Map<number | 'before', string>();
  return {
    muted: color,
    grid: background(element, 'chart-grid'),
    font: fontFamily,
    of(tone) {
      const colour = known.get(tone) ?? background(element, `swatch line-${tone}`);
      known.set(tone, colour);
      return colour;
    },
  };
}

/** The colours inside of an element; `null` before it is there. */
export function useColours(of: RefObject<Element | null>): Colours | null {
  const [colours, setColours] = useState<Colours | null>(null);
  useEffect(() => {
    const update = () => of.current && setColours(read(of.current));
    update();
    const system = matchMedia('(prefers-color-scheme: dark)');
    const chosen = new MutationObserver(update);
    system.addEventListener('change', update);
    chosen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => {
      system.removeEventListener('change', update);
      chosen.disconnect();
    };
  }, []);
  return colours;
}
