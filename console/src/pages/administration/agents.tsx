// Agents: name, queues, skills, languages and slots; and their shifts.

import { useEffect, useState } from 'preact/hooks';
import * as http from '../../api/http';
import type { AgentSummary, Fields } from '../../api/types';
import { t, tv } from '../../i18n';
import { readSkills } from '../../model/skills';
import { agents, loadAgents } from '../../state/people';
import { go, href } from '../../state/route';
import { can } from '../../state/session';
import { tell } from '../../state/toasts';
import { Empty, Field } from '../../ui/parts';
import { ShiftsForm } from './shifts';

const NEW = '+new';

export function AgentsAdmin({ open }: { open?: string }) {
  useEffect(() => void loadAgents(), []);
  const agent = agents.value.find((one) => one.key === open);
  return (
    <div class="split">
      <section class="split-list" aria-label={t('admin.agents')}>
        <div class="split-head split-title">
          <h1>{t('admin.agents')}</h1>
          {can('agent.manage') && (
            <button type="button" onClick={() => go('admin', 'agents', NEW)}>
              {t('agentForm.new')}
            </button>
          )}
        </div>
        <ul>
          {agents.value.map((one) => (
            <li key={one.key}>
              <a href={href('admin', 'agents', one.key)} aria-current={one.key === open ? 'true' : undefined}>
                <span class="agent-name">
                  <span class={`dot status-${one.status}`} aria-hidden="true" />
                  <span class="clip">{one.name || one.id}</span>
                </span>
                <span class="split-facts muted">
                  <span>{tv('status', one.status)}</span>
                  <span>{one.queues.join(', ')}</span>
                </span>
              </a>
            </li>
          ))}
        </ul>
      </section>
      <section class="split-body" aria-label={t('agent')}>
        {open === NEW || agent ? (
          <>
            <AgentForm key={open} agent={agent} />
            {agent && <ShiftsForm key={`shifts ${agent.key}`} agent={agent.key} />}
          </>
        ) : (
          <Empty>{t('agentForm.choose')}</Empty>
        )}
      </section>
    </div>
  );
}

const list = (text: string) =>
  text
    .split(/[,，\s]+/)
    .map((one) => one.trim())
    .filter(Boolean);

function AgentForm({ agent }: { agent?: AgentSummary }) {
  const [failed, setFailed] = useState('');

  async function save(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string) => String(form.get(name) ?? '').trim();
    const key = agent?.key ?? given('id');
    const slots = Number(given('slots'));
    const wanted: Fields[] = [];
    if (given('name') !== agent?.name) wanted.push({ type: 'register', name: given('name') });
    wanted.push({
      type: 'set_skills',
      queues: list(given('queues')),
      languages: list(given('languages')),
      skills: readSkills(given('skills')),
    });
    if (slots !== agent?.slots) wanted.push({ type: 'set_capacity', slots });
    setFailed('');
    try {
      for (const command of wanted) {
        const result = await http.commandOver(`agents/${encodeURIComponent(key)}`, command);
        // What is as it was is no mistake of the user's.
        if (!result.ok && result.refusal?.code !== 'unchanged') {
          setFailed(result.refusal?.message ?? '');
          return;
        }
      }
      tell(t('agentForm.saved'));
      await loadAgents();
      if (!agent) go('admin', 'agents', key);
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  }

  const skills = Object.entries(agent?.skills ?? {}).map(([name, level]) => `${name}=${level}`);
  const reads = !can('agent.manage');
  return (
    <form onSubmit={save}>
      <h2>{agent ? agent.name || agent.id : t('agentForm.new')}</h2>
      {!agent && (
        <Field label={t('agentForm.id')}>
          <input name="id" required pattern="[A-Za-z0-9_\-]{1,64}" />
        </Field>
      )}
      <Field label={t('agentForm.name')}>
        <input name="name" required defaultValue={agent?.name ?? ''} readOnly={reads} />
      </Field>
      <Field label={t('agentForm.queues')}>
        <input name="queues" defaultValue={agent?.queues.join(', ') ?? ''} readOnly={reads} />
      </Field>
      <Field label={t('agentForm.skills')}>
        <input name="skills" defaultValue={skills.join(', ')} readOnly={reads} />
      </Field>
      <Field label={t('agentForm.languages')}>
        <input name="languages" defaultValue={agent?.languages.join(', ') ?? ''} readOnly={reads} />
      </Field>
      <Field label={t('agentForm.slots')}>
        <input
          name="slots"
          type="number"
          min={0}
          max={1000}
          defaultValue={agent?.slots ?? 3}
          readOnly={reads}
        />
      </Field>
      <p class="form-error" role="alert">
        {failed}
      </p>
      {!reads && (
        <div class="buttons">
          <button type="submit" class="primary">
            {t('save')}
          </button>
        </div>
      )}
    </form>
  );
}
