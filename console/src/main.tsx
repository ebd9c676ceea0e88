import { effect } from '@preact/signals';
import { render } from 'preact';
import './styles/base.css';
import './styles/shell.css';
import './styles/inbox.css';
import './styles/conversation.css';
import './styles/pages.css';
import './styles/forms.css';
import { whenSignedOut } from './api/http';
import { App } from './app';
import { startClock } from './state/clock';
import { connect, disconnect } from './state/link';
import { announceOffers } from './state/offers';
import { applyPrefs } from './state/prefs';
import { findSession, forget, me } from './state/session';
import { loadMacros, loadTenant } from './state/tenant';
import { listenToKeys } from './ui/keys';

applyPrefs();
startClock();
listenToKeys();
announceOffers();
whenSignedOut(forget);

let connected = '';
effect(() => {
  const user = me.value;
  const who = user ? `${user.tenant}/${user.user}` : '';
  if (who === connected) return;
  // Another user's rows are not for this one: the page begins anew.
  if (connected !== '') {
    disconnect();
    location.reload();
    return;
  }
  connected = who;
  connect();
  void loadTenant();
  void loadMacros();
});

render(<App />, document.getElementById('app')!);
void findSession();
