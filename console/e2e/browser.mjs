// Pages of a real Chromium, which write down everything that goes wrong in them.

import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { environment } from './environment.mjs';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What went wrong in any page: errors on the console, exceptions, failed requests, requests to elsewhere. */
export const troubles = [];

let browser;
const pages = [];

export async function startBrowser() {
  browser = await chromium.launch({ executablePath: environment.chromium, args: ARGUMENTS });
}

export async function stopBrowser() {
  await browser?.close();
}

/** A browser of its own for one person. */
export async function newPage(
  who,
  { width = 1280, height = 800, theme = 'light', language = 'en', strict = true } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: 'en-GB',
  });
  await context.addInitScript((wished) => {
    if (localStorage.getItem('kefu.language') === null) localStorage.setItem('kefu.language', wished);
  }, language);
  const page = await context.newPage();
  page.setDefaultTimeout(environment.patienceMs);
  pages.push({ page, who });
  if (strict) watch(page, who);
  return page;
}

function watch(page, who) {
  const note = (text) => troubles.push(`${who}: ${text}`);
  page.on('console', (message) => {
    // As below: a refused command is an answer.
    if (message.text().includes('status of 409')) return;
    if (['error', 'warning'].includes(message.type())) note(`console ${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => note(`exception: ${error.message}`));
  page.on('dialog', (dialog) => {
    note(`a dialogue of a script: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('requestfailed', (request) => {
    // What is under way when a page is left or loaded again is cancelled: no failure.
    const reason = request.failure()?.errorText ?? '';
    if (reason !== 'net::ERR_ABORTED') note(`failed: ${request.method()} ${request.url()} ${reason}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    const isOwn = url.origin === new URL(environment.url).origin || ['blob:', 'data:'].includes(url.protocol);
    if (!isOwn) note(`a request to elsewhere: ${request.url()}`);
  });
  page.on('response', (response) => {
    // 409 is how a refused command is answered.
    if (response.status() >= 400 && response.status() !== 409) {
      note(`status ${response.status()}: ${response.request().method()} ${response.url()}`);
    }
  });
}

export async function signIn(page, { user, password }) {
  await page.goto(environment.url);
  await page.getByLabel('Tenant').fill(environment.tenant);
  await page.getByLabel('User', { exact: true }).fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Lists' }).waitFor();
}

/** What every page shows now: where something failed, that says most. */
export async function showAll() {
  for (const { page, who } of pages) {
    if (page.isClosed()) continue;
    await screenshot(page, `failed-${who}`).catch(() => {});
    const toasts = await page
      .locator('.toast')
      .allTextContents()
      .catch(() => []);
    console.error(`${who} at ${page.url()}${toasts.length > 0 ? `, told: ${toasts.join(' | ')}` : ''}`);
  }
}

export async function go(page, hash) {
  await page.evaluate((wanted) => {
    location.hash = wanted;
  }, hash);
}

export async function setTheme(page, theme) {
  await page.evaluate((wanted) => {
    document.documentElement.dataset.theme = wanted;
  }, theme);
}

/** Waits until all charts that there are have been drawn. */
export async function drawn(page) {
  await page.waitForFunction(() => document.querySelector('.canvas:not([data-drawn])') === null);
}

export async function screenshot(page, name) {
  if (!environment.screenshots) return;
  await mkdir(environment.screenshots, { recursive: true });
  await page.screenshot({ path: join(environment.screenshots, `${name}.png`) });
}

/** Serious findings of axe, as one line each. */
export async function findings(page) {
  // Evaluated over the debugger, which the page's content policy does not bind.
  await page.evaluate(axeSource);
  const found = await page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations } = await globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags } });
    return violations.map(({ id, impact, nodes }) => ({
      id,
      impact,
      nodes: nodes
        .slice(0, 3)
        .map((node) => `${node.target.join(' ')} — ${node.failureSummary?.split('\n')[1]?.trim()}`),
    }));
  });
  return found
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.join(' | ')}`);
}
