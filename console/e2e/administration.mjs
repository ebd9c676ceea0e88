// Forms of administration: shifts and routing rules, by the keyboard where that is told; and what the server then has.

import { findings, go, screenshot, setTheme } from './browser.mjs';
import { claim, equal, step } from './check.mjs';

const get = (page, path) => page.evaluate(async (at) => (await fetch(`/api/v1/${at}`)).json(), path);
const told = (page, words) => page.locator('.toast').getByText(words).last().waitFor();
const PHONE = { width: 390, height: 844 };
const SCREEN = { width: 1280, height: 800 };

/** As it is now, in both themes, on a screen and on a phone: pictures, no serious finding of axe, nothing too wide. */
export async function looked(page, name, part) {
  for (const [prefix, size] of [
    ['', SCREEN],
    ['phone-', PHONE],
  ]) {
    await page.setViewportSize(size);
    await part?.evaluate((element) => element.scrollIntoView({ block: 'start' }));
    for (const theme of ['light', 'dark']) {
      await setTheme(page, theme);
      await screenshot(page, `${prefix}${name}-${theme}`);
      equal(await findings(page), [], `axe, ${prefix}${name}, ${theme}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      claim(!wide, `${prefix}${name} is as wide as the screen`);
    }
  }
  await page.setViewportSize(SCREEN);
  await setTheme(page, 'auto');
}

export async function works(page, agent) {
  await shifts(page, agent);
  await rules(page);
}

async function shifts(page, agent) {
  const form = page.getByRole('region', { name: 'Shifts' });
  const saved = async () => {
    await form.getByRole('button', { name: 'Save the shifts' }).click();
    await told(page, 'The shifts are saved.');
    return (await get(page, `agents/${agent}`)).state.shifts;
  };
  await step('an agent gets shifts, with a night and a day off', async () => {
    await go(page, `#/admin/agents/${agent}`);
    await form.getByLabel('Works at these times').check();
    await form.getByLabel('Time zone').fill('Europe/Berlin');
    await form.getByRole('button', { name: 'Save the shifts' }).click();
    await form.getByText('Give at least one time').waitFor();
    await form.getByRole('button', { name: 'Monday: add a time' }).click();
    await form.getByLabel('Monday, time 1: to').fill('17:30');
    await form.getByRole('button', { name: 'Tuesday to Friday as on Monday' }).click();
    await form.getByRole('button', { name: 'Saturday: add a time' }).click();
    await form.getByLabel('Saturday, time 1: from').fill('22:00');
    await form.getByLabel('Saturday, time 1: to').fill('06:00');
    await form.getByLabel('Date of a day off').fill('2026-12-25');
    await form.getByRole('button', { name: 'Add the day' }).click();
    await form.getByText('50.5 hours a week.').waitFor();
    const { time_zone, hours } = await saved();
    equal(
      [time_zone, hours.friday, hours.saturday, hours.sunday, hours.holidays],
      ['Europe/Berlin', ['09:00-17:30'], ['22:00-24:00'], ['00:00-06:00'], ['2026-12-25']],
      'the shifts',
    );
    await looked(page, 'shifts', form);
  });
  await step('they are shown as they were saved, are refused with words, and can be taken away', async () => {
    await page.reload();
    await form.getByLabel('Sunday, time 1: to').waitFor();
    equal(await form.getByLabel('Sunday, time 1: to').inputValue(), '06:00', 'the night');
    await form.getByLabel('Time zone').fill('Berlin');
    await form.getByRole('button', { name: 'Save the shifts' }).click();
    await form.getByText('is no IANA time zone').waitFor();
    await form.getByLabel('No shifts: works whenever available').check();
    equal((await saved()) ?? null, null, 'no shifts');
  });
}

async function rules(page) {
  const card = (name) => page.getByRole('listitem', { name });
  const current = async () => (await get(page, 'settings/routing')).value.rules;
  await step('a routing rule is put together from clauses', async () => {
    await go(page, '#/admin/rules');
    await page.getByRole('button', { name: 'Add a rule' }).click();
    await page.locator('[data-field=name] input:focus').waitFor();
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.type('Refunds');
    const rule = card(': Refunds');
    await rule.getByRole('button', { name: 'Add a clause' }).click();
    await rule.getByLabel('Clause 1: values, one per line').fill('Refund\n退款');
    await rule.getByRole('button', { name: 'Add a clause' }).click();
    await rule.getByLabel('Clause 2: about what').selectOption('Tag');
    await rule.getByLabel('Clause 2: value').fill('vip');
    await rule.getByLabel('How the clauses are joined').selectOption('one of these holds');
    await rule.getByLabel('Queue').selectOption('sales');
    await rule.getByLabel('Priority, 0 to 10').fill('5');
    await rule.getByLabel('Required skills').fill('billing=3');
    await rule.getByLabel('Tags it gets').fill('refund');
    await looked(page, 'rules-form', rule);
  });
  await step(
    'a second one is an expression; a mistake in it is shown where it is, before anything is saved',
    async () => {
      await page.getByRole('button', { name: 'Add a rule' }).click();
      const rule = card(': New rule');
      await rule.getByLabel('Name').fill('Nights');
      const nights = card(': Nights');
      await nights.getByRole('button', { name: 'Write it as an expression' }).click();
      await nights.getByLabel('Expression (CEL)').fill("hour > 20 && chanel == 'web'");
      await nights.getByLabel('Queue').selectOption('support');
      await nights.getByRole('button', { name: 'Nights' }).first().click();
      await page.getByRole('button', { name: 'Check' }).click();
      await nights.getByRole('alert').getByText('line 1, column 14').waitFor();
      await nights.getByLabel('Expression (CEL)').and(page.locator(':focus')).waitFor();
      await screenshot(page, 'rules-wrong-light');
      await nights.getByLabel('Expression (CEL)').fill("hour > 20 && channel == 'web'");
      await page.getByRole('button', { name: 'Check' }).click();
      await told(page, 'Nothing is wrong. Rules: 2');
      equal((await get(page, 'settings')).items.includes('routing'), false, 'nothing is saved by a check');
    },
  );
  await step('rules are moved by keys and by buttons, switched off, and saved', async () => {
    await card(': Nights').getByRole('button', { name: 'Nights' }).first().focus();
    await page.keyboard.press('Alt+ArrowUp');
    await card('Rule 1: Nights').waitFor();
    await card('Rule 1: Nights').locator('.rule-name:focus').waitFor();
    await page.getByRole('button', { name: 'Move Nights down' }).click();
    await card('Rule 2: Nights').waitFor();
    await page.getByRole('button', { name: 'Move Nights up' }).and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Enter');
    await page.getByLabel('Nights is on').uncheck();
    await page.getByLabel('Why').fill('refunds have their own queue');
    await page.getByRole('button', { name: 'Save and put in force' }).click();
    await told(page, 'Done.');
    equal(
      await current(),
      [
        { name: 'Nights', when: "false && (hour > 20 && channel == 'web')", then: { queue: 'support' } },
        {
          name: 'Refunds',
          when: "(text.lowerAscii().contains('refund') || text.lowerAscii().contains('退款')) || 'vip' in tags",
          then: { queue: 'sales', priority: 5, required: { billing: 3 }, tags: ['refund'] },
        },
      ],
      'the document',
    );
    await page.getByText('refunds have their own queue').waitFor();
  });
  await step('a rule is removed, saved, and brought back out of the history', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Remove Nights' }).click();
    await page.getByRole('button', { name: 'Save and put in force' }).click();
    await page.getByText('Version 2').waitFor();
    equal((await current()).length, 1, 'rules');
    await page.getByRole('button', { name: 'Back to this' }).last().click();
    await page.getByText('Version 3').waitFor();
    await card('Rule 1: Nights').waitFor();
    equal((await current()).length, 2, 'rules');
    await looked(page, 'rules');
    await page.getByRole('link', { name: 'As JSON' }).click();
    await page.getByRole('link', { name: 'As a form' }).click();
    await card('Rule 2: Refunds').waitFor();
  });
  await step('changes outlive a look at another page, and can be discarded', async () => {
    await page.getByLabel('Nights is on').check();
    await go(page, '#/wall');
    await page.getByRole('heading', { name: 'Wall' }).waitFor();
    await go(page, '#/admin/rules');
    await page.getByRole('button', { name: 'Discard the changes' }).click();
    await page.getByLabel('Nights is on').and(page.locator(':not(:checked)')).waitFor();
  });
}
