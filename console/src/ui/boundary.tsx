// Keeps an error where it happened: one broken message never breaks the page.

import { Component, type ComponentChildren } from 'preact';
import { t } from '../i18n';

interface Props {
  /** What could not be shown, for the log. */
  of: string;
  children: ComponentChildren;
}

export class Boundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static override getDerivedStateFromError() {
    return { failed: true };
  }

  override componentDidCatch(error: unknown): void {
    console.warn(`${this.props.of} cannot be shown`, error);
  }

  override render() {
    return this.state.failed ? <p class="broken">{t('broken')}</p> : this.props.children;
  }
}
