// The first start: the address that kefu printed makes the first administrator, once.

import { findings, go, newPage, screenshot, setTheme } from './browser.mjs';
import { claim, equal, step } from './check.mjs';
import { environment } from './environment.mjs';

const page = { width: 1280, height: 800 };
const phone = { width: 390, height: 844 };

async function fill(at, { user, name, password, again = password }) {
  await at.getByLabel('User', { exact: true }).fill(user);
  await at.getByLabel('Name that colleagues see').fill(name);
  await at.getByLabel('Password', { exact: true }).fill(password);
  await at.getByLabel('Password again').fill(again);
  await at.getByRole('button', { name: 'Make and sign in' }).click();
}

async function looked(at, name) {
  for (const theme of ['light', 'dark']) {
    await setTheme(at, theme);
    await screenshot(at, `${name}-${theme}`);
    equal(await findings(at), [], `axe, ${name}, ${theme}`);
    claim(
      !(await at.evaluate(() => document.documentElement.scrollWidth > innerWidth)),
      'it is as wide as the screen',
    );
  }
  await setTheme(at, 'auto');
}

/** What the page says, and where it leads, when the code is of no use. */
async function refused(at, name) {
  const alert = at.getByRole('alert');
  await alert.getByText('start kefu again, and open the address that it then prints').waitFor();
  await looked(at, name);
  await at.getByRole('link', { name: 'Go to the sign-in' }).click();
  await at.getByLabel('Tenant').waitFor();
}

export async function scenario() {
  const { user, password } = environment.admin;
  const address = environment.setUp.replace(/^.*(?=\/#)/, environment.url.replace(/\/$/, ''));
  const ada = { user, name: 'Ada Root', password };

  await step('a wrong code is refused, and says what to do', async () => {
    const stranger = await newPage('stranger', { ...page, strict: false });
    await stranger.goto(`${environment.url}/#/setup/kefu_f_guessed`);
    await fill(stranger, ada);
    await refused(stranger, 'setup-wrong-code');
    await stranger.context().close();
  });

  const small = await newPage('small', { ...phone, strict: false, language: 'zh' });
  await step('the page fits a phone, in Chinese', async () => {
    await small.goto(address);
    await small.getByRole('button', { name: '创建并登录' }).waitFor();
    await looked(small, 'phone-setup');
    await small.context().close();
  });

  const first = await newPage('first', page);
  await step('the address that was printed opens the page, with its code', async () => {
    await first.goto(address);
    const code = await first.getByLabel('Code that the server printed').inputValue();
    claim(address.endsWith(code) && code.length > 20, 'the code is there');
    await looked(first, 'setup');
  });
  await step('passwords that differ or are short are told before anything is sent', async () => {
    await fill(first, { ...ada, again: `${password}!` });
    await first.getByText('The two passwords differ.').waitFor();
    await fill(first, { ...ada, password: 'short' });
    const short = first.getByLabel('Password', { exact: true });
    claim(await short.evaluate((field) => field.validity.tooShort), 'a short one is not sent');
  });
  await step('the first administrator is made by the keyboard alone, and is signed in', async () => {
    // Quickly after it was opened, as by a person who knows what comes.
    await first.reload();
    await first.getByLabel('User', { exact: true }).focus();
    for (const text of [ada.user, ada.name, ada.password, ada.password]) {
      await first.keyboard.type(text);
      await first.keyboard.press('Tab');
    }
    await first.keyboard.press('Enter');
    await first.getByRole('navigation', { name: 'Lists' }).waitFor();
    equal((await first.locator('.user-button').textContent()).trim(), ada.name, 'who is signed in');
    await go(first, '#/admin/users');
    await first.getByRole('link', { name: ada.name }).click();
    await first.getByRole('heading', { name: ada.name }).waitFor();
    await first.locator('.version-head strong').getByText('Administrator').waitFor();
    await screenshot(first, 'setup-done-light');
  });

  await step('the code is good once', async () => {
    const late = await newPage('late', { ...page, strict: false });
    await late.goto(address);
    await fill(late, { user: 'eve', name: 'Eve', password: 'another long password' });
    await refused(late, 'setup-used-code');
    await late.context().close();
  });
}
