import type { ComponentType } from 'preact';
import { t } from './i18n';
import { Asked } from './pages/conversation/actions';
import { Inbox } from './pages/inbox';
import { SetUp } from './pages/setUp';
import { SignIn } from './pages/signIn';
import { page } from './state/route';
import { me } from './state/session';
import { Boundary } from './ui/boundary';
import { lazy } from './ui/lazy';
import { Help, Palette } from './ui/palette';
import { Empty, Toasts } from './ui/parts';
import { LinkNotice, OfferDock, TopBar } from './ui/shell';

const PAGES: Record<string, ComponentType> = {
  inbox: Inbox,
  search: lazy(() => import('./pages/search').then((it) => it.Search)),
  wall: lazy(() => import('./pages/wall').then((it) => it.Wall)),
  knowledge: lazy(() => import('./pages/knowledge').then((it) => it.Knowledge)),
  reports: lazy(() => import('./pages/reports').then((it) => it.Reports)),
  account: lazy(() => import('./pages/account').then((it) => it.AccountPage)),
  admin: lazy(() => import('./pages/admin').then((it) => it.Admin)),
};

export function App() {
  if (me.value === undefined) return <Empty>{t('loading')}</Empty>;
  if (me.value === null) return page.value === 'setup' ? <SetUp /> : <SignIn />;
  const Page = PAGES[page.value] ?? Inbox;
  return (
    <>
      <TopBar />
      <LinkNotice />
      <OfferDock />
      <Boundary key={page.value} of={page.value}>
        <Page />
      </Boundary>
      <Asked />
      <Palette />
      <Help />
      <Toasts />
    </>
  );
}
