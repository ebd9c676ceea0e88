// Every main page: no serious finding of axe, and a picture of it in both themes, on a screen and on a phone.

import { drawn, findings, go, screenshot, setTheme } from './browser.mjs';
import { claim, equal, step } from './check.mjs';

export async function keysWork(page) {
  await step('keys: help, palette, moving, and leaving', async () => {
    await go(page, '#/inbox/all');
    await page.locator('.row').first().waitFor();
    await page.locator('body').press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('j');
    await page.locator('.row[aria-current]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.row[aria-current]').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Type what you want to do' }).fill('go to wall');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Wall' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('i');
    await page.getByRole('navigation', { name: 'Lists' }).waitFor();
  });
}

export async function searchFinds(page, words) {
  await step('messages are found, with their words marked', async () => {
    await go(page, '#/search');
    await page.getByLabel('Words').fill(words);
    // The index follows the log by a moment.
    for (let tries = 0; ; tries += 1) {
      await page.getByRole('button', { name: 'Search', exact: true }).click();
      const found = await page
        .locator('mark')
        .first()
        .waitFor({ timeout: 1000 })
        .then(
          () => true,
          () => false,
        );
      if (found) return;
      claim(tries < 20, `nothing was found for ${words}`);
    }
  });
}

export async function looksRight(page, places, { prefix = '' } = {}) {
  for (const [name, hash, ready] of places) {
    await step(`the page ${prefix}${name}`, async () => {
      await go(page, hash);
      await page.locator(ready).first().waitFor();
      for (const theme of ['light', 'dark']) {
        await setTheme(page, theme);
        // Transitions and late lists: what is looked at is the page at rest.
        await page.waitForLoadState('networkidle').catch(() => {});
        await drawn(page);
        await screenshot(page, `${prefix}${name}-${theme}`);
        equal(await findings(page), [], `axe, ${name}, ${theme}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        claim(!wide, 'the page is as wide as the screen');
      }
    });
  }
  await setTheme(page, 'auto');
}

/** Milliseconds from the start of loading to the first text or picture. */
export async function firstPaint(page) {
  await go(page, '#/inbox/mine');
  await page.reload();
  await page.getByRole('navigation', { name: 'Lists' }).waitFor();
  const entries = await page.evaluate(() =>
    performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime),
  );
  return Math.round(entries[0] ?? Number.NaN);
}
