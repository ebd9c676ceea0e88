// Administration: users and their roles, agents, routing rules, settings documents.

import { t } from '../i18n';
import { href, route } from '../state/route';
import { can } from '../state/session';
import { AgentsAdmin } from './administration/agents';
import { RulesAdmin } from './administration/rules';
import { SettingsAdmin } from './administration/settings';
import { UsersAdmin } from './administration/users';

const PARTS = [
  { name: 'users', permission: 'user.read', Page: UsersAdmin },
  { name: 'agents', permission: 'agent.read', Page: AgentsAdmin },
  { name: 'rules', permission: 'settings.read', Page: RulesAdmin },
  { name: 'settings', permission: 'settings.read', Page: SettingsAdmin },
] as const;

export function Admin() {
  const allowed = PARTS.filter((part) => can(part.permission));
  const current = allowed.find((part) => part.name === route.value[1]) ?? allowed[0];
  if (!current) return null;
  return (
    <main class="admin">
      <nav class="subnav" aria-label={t('nav.admin')}>
        {allowed.map((part) => (
          <a
            key={part.name}
            href={href('admin', part.name)}
            aria-current={part === current ? 'page' : undefined}
          >
            {t(`admin.${part.name}`)}
          </a>
        ))}
      </nav>
      <current.Page open={route.value[1] === current.name ? route.value[2] : undefined} />
    </main>
  );
}
