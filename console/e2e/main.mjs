// The console in a real browser, against a running kefu. The exit code says whether all of it held.

import * as administration from './administration.mjs';
import { newPage, screenshot, showAll, signIn, startBrowser, stopBrowser, troubles } from './browser.mjs';
import { claim, currentStep, elapsed, equal, step } from './check.mjs';
import * as contacts from './contacts.mjs';
import { Customer } from './customer.mjs';
import { environment } from './environment.mjs';
import * as first from './first.mjs';
import * as pages from './pages.mjs';
import * as past from './past.mjs';
import * as reports from './reports.mjs';
import * as work from './work.mjs';

const QUESTION = 'How can I return something?';
const ANSWER = 'You can return anything within 14 days.';
const run = Date.now().toString(36);

async function scenario() {
  const refused = await newPage('guest', { strict: false });
  await step('a wrong password is refused with words', async () => {
    await refused.goto(environment.url);
    await refused.getByLabel('Password').waitFor();
    await screenshot(refused, 'sign-in-light');
    await refused.getByLabel('Tenant').fill(environment.tenant);
    await refused.getByLabel('User', { exact: true }).fill(environment.agentA.user);
    await refused.getByLabel('Password').fill('not the password');
    await refused.getByRole('button', { name: 'Sign in' }).click();
    await refused.getByText('Not signed in').waitFor();
    await refused.context().close();
  });

  const [a, b, supervisor] = await step('two agents and a supervisor sign in', async () => {
    const people = [environment.agentA, environment.agentB, environment.supervisor];
    return Promise.all(
      people.map(async (person) => {
        const page = await newPage(person.user);
        await signIn(page, person);
        return page;
      }),
    );
  });
  const nameOf = async (page) => (await page.locator('.user-button').textContent()).trim();
  const names = { a: await nameOf(a), supervisor: await nameOf(supervisor) };

  await step('an entry of the knowledge base is written and approved', () =>
    work.writeEntry(supervisor, `e2e-${run}`, QUESTION, ANSWER),
  );
  const customer = new Customer(`e2e-${run}-1`, '<b>王芳</b>');
  await work.rejectedThenAccepted(a, b, customer);
  await work.adoptsAndReplies(b, customer, { question: QUESTION, answer: ANSWER });
  await work.scriptsAreText(b, customer);
  await pages.looksRight(b, [['inbox', `#/inbox/mine/${customer.key}`, '.timeline .message']]);
  await work.closedAndRated(b, customer);

  const other = new Customer(`e2e-${run}-2`, 'Alexander Constantin von Habsburg-Lothringen-Schwarzenberg');
  await work.oneOfTwoWins(a, b, supervisor, other, names);
  await work.supervisorSees(supervisor, customer);
  await contacts.mergedAndSeparated(supervisor, customer, other);
  await pages.keysWork(supervisor);
  await pages.searchFinds(supervisor, 'invoice');
  await pages.looksRight(supervisor, [
    ['inbox-all', `#/inbox/all/${customer.key}`, '.timeline .message'],
    ['inbox-empty', '#/inbox/snoozed', '.empty'],
    ['search', '#/search', 'input[type=search]'],
    ['wall', '#/wall', '.agent-name'],
    ['knowledge', `#/knowledge/e2e-${run}`, '.version'],
  ]);

  await past.showsWhoWaited(supervisor, customer);
  await pages.looksRight(supervisor, [['wall-past', '#/wall', '.past-marker']]);
  await past.comesBack(supervisor);

  await reports.agentsHaveNone(b);
  await reports.reportsWork(supervisor, customer);
  await pages.looksRight(supervisor, reports.PAGES);
  await reports.looksRightWhatever(supervisor);

  if (environment.admin) {
    const admin = await newPage(environment.admin.user);
    await step('an administrator signs in', () => signIn(admin, environment.admin));
    await pages.looksRight(admin, [
      ['users', `#/admin/users/${environment.agentA.user}`, '.split-body h2'],
      ['agents', `#/admin/agents/${environment.agentA.user}`, '.split-body h2'],
      ['settings', '#/admin/settings/tenant', '.editor'],
    ]);
    await administration.works(admin, environment.agentA.user);
  }

  const phone = await newPage('phone', { width: 390, height: 844, language: 'zh' });
  await step('the same in Chinese on a phone', async () => {
    await phone.goto(environment.url);
    await phone.getByLabel('租户').fill(environment.tenant);
    await phone.getByLabel('用户名').fill(environment.supervisor.user);
    await phone.getByLabel('密码').fill(environment.supervisor.password);
    await phone.getByRole('button', { name: '登录' }).click();
    await phone.getByRole('navigation', { name: '列表' }).waitFor();
    equal(await phone.evaluate(() => document.documentElement.lang), 'zh-CN', 'the language of the page');
  });
  await pages.looksRight(
    phone,
    [
      ['list', '#/inbox/all', '.row'],
      ['conversation', `#/inbox/all/${customer.key}`, '.timeline .message'],
      ['wall', '#/wall', '.agent-name'],
      ['agent', `#/admin/agents/${environment.agentA.user}`, '.split-body .choices'],
      ['rules', '#/admin/rules', '.rules-head'],
      ...reports.PAGES,
    ],
    { prefix: 'phone-' },
  );
  await past.opens(phone);
  await pages.looksRight(phone, [['wall-past', '#/wall', '.past-marker']], { prefix: 'phone-' });

  await step('the first paint comes within a second', async () => {
    const ms = await pages.firstPaint(supervisor);
    console.log(`    first contentful paint: ${ms} ms`);
    claim(ms < 1000, `it took ${ms} ms`);
  });
  equal(troubles, [], 'no error on the console, no failed request');
}

let failed = false;
await startBrowser();
try {
  await (process.argv[2] === 'first' ? first.scenario() : scenario());
  console.log(`all held, ${elapsed()} ms`);
} catch (error) {
  failed = true;
  console.error(`FAILED at "${currentStep()}": ${error.stack ?? error}`);
  await showAll();
  if (troubles.length > 0) console.error(`troubles:\n  ${troubles.join('\n  ')}`);
} finally {
  await stopBrowser();
}
process.exit(failed ? 1 : 0);
