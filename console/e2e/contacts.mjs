// Contacts on the customer's card: two that are one person are merged, and separated again.

import { looked } from './administration.mjs';
import { findings, go, screenshot } from './browser.mjs';
import { equal, step } from './check.mjs';

export async function mergedAndSeparated(page, customer, other) {
  const card = page.getByRole('region', { name: 'Contact', exact: true });
  const dialog = page.getByRole('dialog', { name: 'Merge contacts' });
  const open = card.getByRole('button', { name: 'Merge with another contact…' });
  await step('the other contact is found, and what merges is shown before it is done', async () => {
    await go(page, `#/inbox/all/${customer.key}`);
    await open.click();
    await dialog.getByRole('searchbox').and(page.locator(':focus')).waitFor();
    await page.keyboard.type('nobody at all');
    await page.keyboard.press('Enter');
    await dialog.getByText('No other contact has these words.').waitFor();
    await dialog.getByRole('searchbox').fill(other.name.split(' ').at(-1));
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: other.name }).waitFor();
    equal(await findings(page), [], 'axe, the search');
    await screenshot(page, 'merge-search-light');
    await dialog.getByRole('button', { name: other.name }).click();
    await dialog.getByText('Afterwards').waitFor();
    const stays = dialog.getByRole('group', { name: 'Which one stays?' });
    equal(await stays.getByRole('radio').first().isChecked(), true, 'who was there first stays');
    await dialog.locator('.merge-piece').getByText(`cli:${other.id}`).waitFor();
    await looked(page, 'merge-preview');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    equal(await open.evaluate((button) => button === document.activeElement), true, 'the focus is back');
  });
  await step('they are one contact, on the cards of both', async () => {
    await page.keyboard.press('Enter');
    await dialog.getByRole('searchbox').fill(`cli:${other.id}`);
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: other.name }).click();
    await dialog.getByRole('button', { name: 'Merge', exact: true }).click();
    await page.locator('.toast').getByText('They are one contact now.').waitFor();
    await card.getByRole('button', { name: `Separate ${other.name} again` }).waitFor();
    await card.getByText(other.id).first().waitFor();
    await go(page, `#/inbox/all/${other.key}`);
    await card.getByText(customer.id).first().waitFor();
    await card.getByText(`Part of ${customer.name}`).waitFor();
    await screenshot(page, 'merged-light');
  });
  await step('they are separated again', async () => {
    await card.getByRole('button', { name: `Separate ${other.name} again` }).click();
    const asked = card.getByRole('group', { name: `Separate ${other.name} again` });
    await asked.getByRole('button', { name: 'Separate' }).and(page.locator(':focus')).waitFor();
    equal(await findings(page), [], 'axe, the question');
    await page.keyboard.press('Enter');
    await page.locator('.toast').getByText('They are two contacts again.').waitFor();
    await card.getByText(customer.id).first().waitFor({ state: 'detached' });
    await card.getByText(other.id).first().waitFor();
  });
}
