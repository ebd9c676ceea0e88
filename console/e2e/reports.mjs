// Reports: figures of what has just happened, what they mean, what is behind them, and their tables as files.

import { readFile } from 'node:fs/promises';
import { drawn, findings, go, screenshot, setTheme } from './browser.mjs';
import { claim, equal, step, until } from './check.mjs';

export const PAGES = [
  ['reports-overview', '#/reports/overview/today', '.figure-tile'],
  ['reports-queues', '#/reports/queues/7d', '.figure-table'],
  ['reports-agents', '#/reports/agents/30d', '.figure-table'],
  ['reports-bot', '#/reports/bot/7d', '.figure-table'],
];

const dialog = (page, name) => page.getByRole('dialog', { name });

export async function agentsHaveNone(page) {
  await step('who may not read reports is not led to them', async () => {
    const places = page.getByRole('navigation', { name: 'Pages' });
    equal(await places.getByRole('link', { name: 'Inbox' }).count(), 1, 'the inbox');
    equal(await places.getByRole('link', { name: 'Reports' }).count(), 0, 'reports');
  });
}

export async function reportsWork(page, customer) {
  await step('reports have the session that has ended', async () => {
    // Figures follow the log by a moment.
    await until(async () => {
      const closed = await page.evaluate(async () => {
        const asked = new URLSearchParams({
          from: new Date(Date.now() - 86_400_000).toISOString(),
          to: new Date(Date.now() + 60_000).toISOString(),
          metrics: 'sessions_closed',
        });
        const answer = await (await fetch(`/api/v1/reports?${asked}`)).json();
        return answer.rows[0].figures.sessions_closed;
      });
      return closed > 0;
    }, 'no session is counted');
    await go(page, '#/reports');
    const opened = page.getByRole('region', { name: 'Sessions opened' });
    claim(Number(await opened.locator('.large').innerText()) > 0, 'the overview counts it');
    await page.locator('.canvas canvas').first().waitFor();
  });

  await step('a figure says what it means, by the keyboard alone', async () => {
    const about = page.getByRole('button', { name: 'What Service level means' }).first();
    await about.focus();
    await page.keyboard.press('Enter');
    await dialog(page, 'Service level').getByText('service_level@1').waitFor();
    equal(await findings(page), [], 'axe, a definition');
    await screenshot(page, 'reports-definition');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    claim(await about.evaluate((button) => button === document.activeElement), 'the focus is back');
  });

  await step('a chart has the same numbers as a table, and a legend', async () => {
    const chart = page.getByRole('region', { name: 'Sessions', exact: true });
    await chart.getByText('As a table').click();
    await chart.getByRole('columnheader', { name: 'Sessions opened', exact: true }).waitFor();
    const line = chart.getByRole('button', { name: 'Sessions closed' });
    await line.click();
    equal(await line.getAttribute('aria-pressed'), 'false', 'the line is hidden');
  });

  await step('a table is sorted by its headings', async () => {
    await go(page, '#/reports/agents/7d');
    const heading = page.getByRole('columnheader', { name: 'Handled' });
    const sorted = () => heading.getAttribute('aria-sort');
    await heading.waitFor();
    equal(await sorted(), 'descending', 'by the most at first');
    await heading.getByRole('button', { name: 'Handled', exact: true }).click();
    equal(await sorted(), 'ascending', 'after a click');
  });

  await step('a table is saved as CSV', async () => {
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'CSV of: Agent' }).click(),
    ]);
    claim(/^kefu-agents-.*\.csv$/.test(saved.suggestedFilename()), saved.suggestedFilename());
    const lines = (await readFile(await saved.path(), 'utf8')).split('\r\n');
    claim(lines[0].startsWith('\uFEFFAgent,Handled,"Handled, before"'), lines[0]);
    equal(lines.length, (await page.locator('.figure-table tr').count()) + 1, 'as many lines as rows');
  });

  await step('the sessions behind a figure lead to their conversations, and back', async () => {
    await page.getByRole('button', { name: /show the sessions behind Handled of Everything/ }).click();
    const sessions = dialog(page, 'Sessions behind Handled');
    const link = sessions.getByRole('link', { name: customer.key.slice(0, 8) });
    await link.first().waitFor();
    equal(await findings(page), [], 'axe, the sessions behind a figure');
    await screenshot(page, 'reports-sessions');
    await link.first().click();
    await page.locator('.timeline .message').first().waitFor();
    await page.goBack();
    await sessions.waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  await step('days of one’s own are in the address, and wrong ones are refused with words', async () => {
    await page.getByRole('button', { name: 'Own dates' }).click();
    await page.getByLabel('First day').fill('2026-01-31');
    await page.getByLabel('Last day').fill('2026-01-01');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByText('Choose a first day that is not after the last').waitFor();
    await page.getByLabel('First day').fill('2026-01-01');
    await page.getByLabel('Last day').fill('2026-01-31');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByText('Compared with the 31 days before.').waitFor();
    await page.getByText('Nothing happened in that time.').first().waitFor();
    claim(
      (await page.evaluate(() => location.hash)).endsWith('2026-01-01..2026-01-31'),
      'the address has them',
    );
  });
}

/** What a tenant has after a year, or at its beginning: drawn from made-up answers, since only the drawing is looked at. */
const MADE_UP = {
  year: { values: 23, before: 0.8, figure: (at) => 100 + 80 * Math.sin(at / 40) + (at % 7) * 6 },
  nothing: { values: 0, before: 0, figure: () => 0 },
  one: { values: 1, before: 0, figure: (at) => (at === EVENT ? 1 : 0) },
};
/** The year that is looked at, and the day in it on which the one event was. */
const [YEAR, DAYS, EVENT] = [2025, 365, 200];
const DAY_MS = 86_400_000;

function answered(answer, by, isSeries, { values, before, figure }) {
  const first = Date.parse(answer.from);
  const isNow = new Date(first).getUTCFullYear() === YEAR;
  const figures = (at, rank) =>
    Object.fromEntries(
      answer.metrics
        .map(({ name, unit }, index) => {
          const amount = ((isNow ? 1 : before) * figure(at) * (1 - (index % 5) / 8)) / rank;
          return [name, unit, unit === 'share' ? Math.min(1, amount / 300) : amount];
        })
        // What nothing was counted of has no share and no mean.
        .filter(([, unit, amount]) => unit === 'count' || amount > 0)
        .map(([name, unit, amount]) => [name, unit === 'count' ? Math.ceil(amount) : amount]),
    );
  const names = by === 'all' ? [''] : Array.from({ length: values }, (_, index) => `技术支持 ${index + 1}`);
  const steps = isSeries ? Array.from({ length: DAYS }, (_, index) => index) : [EVENT];
  const rows = steps.flatMap((at) =>
    names.map((value, index) => ({
      ...(isSeries && { at: new Date(first + at * DAY_MS).toISOString() }),
      ...(value && { value }),
      figures: figures(at, index + 1),
    })),
  );
  return { ...answer, rows };
}

export async function looksRightWhatever(page) {
  for (const [name, made] of Object.entries(MADE_UP)) {
    await step(`reports of ${name}`, async () => {
      await page.route(/\/api\/v1\/reports\?/, async (route) => {
        const response = await route.fetch();
        const asked = new URL(route.request().url()).searchParams;
        const json = answered(await response.json(), asked.get('by'), asked.has('step'), made);
        await route.fulfill({ response, json });
      });
      for (const part of ['overview', 'queues']) {
        await go(page, `#/reports/${part}/${YEAR}-01-01..${YEAR}-12-31`);
        await page.locator('.answer[aria-busy=false]').first().waitFor();
        for (const theme of ['light', 'dark']) {
          await setTheme(page, theme);
          await page.waitForLoadState('networkidle').catch(() => {});
          await drawn(page);
          await screenshot(page, `reports-${name}-${part}-${theme}`);
          equal(await findings(page), [], `axe, ${name}, ${part}, ${theme}`);
        }
      }
      await page.unroute(/\/api\/v1\/reports\?/);
      await go(page, '#/wall');
    });
  }
  await setTheme(page, 'auto');
}
