// The wall as it was: the slider, the marker that says so, and the way back.

import { go, troubles } from './browser.mjs';
import { claim, equal, step, until } from './check.mjs';

const slider = (page) => page.getByRole('slider');
const moment = async (page) => Date.parse(await page.locator('.slider time').getAttribute('datetime'));

/** Presses a key that moves it; where it stands then. */
async function moved(page, key) {
  const before = await moment(page);
  await slider(page).press(key);
  await until(async () => (await moment(page)) !== before, `${key} moves the slider`);
  return moment(page);
}

/** Opens the slider and goes a few steps back. */
export async function opens(page) {
  await step('the wall goes back by the keyboard', async () => {
    await go(page, '#/wall');
    await page.locator('.agent-name').first().waitFor();
    await page.locator('.title-row button').click();
    await slider(page).focus();
    await slider(page).press('ArrowLeft');
    await page.locator('.page.past .past-marker').waitFor();
    await page.locator('.agent-name').first().waitFor();
  });
}

export async function showsWhoWaited(page, customer) {
  await opens(page);
  await step('the wall shows who waited then, and nothing changes meanwhile', async () => {
    const [queued, accepted] = await page.evaluate(async (key) => {
      const answer = await fetch(`/api/v1/conversations/${key}/commits`);
      const commits = (await answer.json()).items.map((item) => item.commit);
      const first = (type) => commits.find((one) => one.events.some((event) => event.type === type));
      return ['queued', 'offer_accepted'].map((type) => Date.parse(first(type).at));
    }, customer.key);
    const from = await moved(page, 'Home');
    const width = (await moved(page, 'ArrowRight')) - from;
    const place = Math.max(0, Math.ceil((queued - from) / width));
    claim(from + place * width < accepted, 'it waited for at least one step');
    await slider(page).fill(String(place));
    const waiting = page.getByRole('region', { name: 'Waiting then' });
    await waiting.getByText('王芳').waitFor();
    equal(await waiting.getByRole('button').count(), 0, 'deeds on what was');
    await page.getByText('Nothing here changes until you go back to now.').waitFor();
    const asked = [];
    // The counts beside the lists are of now, on every page.
    const note = (request) => request.url().endsWith('/inbox') || asked.push(request.url());
    page.on('request', note);
    // Twice as long as the wall of now would wait.
    await page.waitForTimeout(6000);
    page.off('request', note);
    equal(asked, [], 'requests while one looks at the past');
    const shown = await moment(page);
    await page.getByRole('button', { name: 'A step later' }).click();
    await until(async () => (await moment(page)) === shown + width, 'the next step');
    await page.getByRole('button', { name: 'A step earlier' }).click();
    await waiting.getByText('王芳').waitFor();
  });
}

export async function comesBack(page) {
  await step('the wall comes back to now', async () => {
    const before = troubles.length;
    await page.getByLabel('Date and time').fill('2001-02-03T04:05');
    await page.getByText('there was no wall before').waitFor();
    // The browser complains about the refusal, too.
    const told = troubles.splice(before);
    claim(
      told.every((trouble) => trouble.includes(' 400')),
      `nothing but the refusal: ${told.join(' | ')}`,
    );
    await page.getByRole('button', { name: 'Now', exact: true }).click();
    await page.locator('.past-marker').waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'Waiting now' }).waitFor();
    await page.getByRole('button', { name: 'Back to now' }).click();
    await slider(page).waitFor({ state: 'detached' });
  });
}
