// Closes a menu by Escape, or by a click elsewhere.

import { useEffect } from 'preact/hooks';

/** `inside`: where clicks do not close it. */
export function useDismiss(open: boolean, close: () => void, inside?: string): void {
  useEffect(() => {
    if (!open) return;
    const onClick = (event: MouseEvent) => {
      if (inside && event.target instanceof Element && event.target.closest(inside)) return;
      close();
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      // It closed the menu, and does not leave the conversation as well.
      event.stopPropagation();
      close();
    };
    addEventListener('click', onClick);
    addEventListener('keydown', onKey, { capture: true });
    return () => {
      removeEventListener('click', onClick);
      removeEventListener('keydown', onKey, { capture: true });
    };
  }, [open]);
}
