// The day's work: an offer rejected and accepted, a suggested answer adopted, a session closed and rated.

import { go, screenshot } from './browser.mjs';
import { claim, step, until } from './check.mjs';

export const HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';

export async function setStatus(page, status) {
  await page.getByRole('combobox', { name: 'Status', exact: true }).selectOption(status);
  // The dot follows what the server says, not what was chosen.
  await page.locator(`.status .dot.status-${status}`).waitFor();
}

const row = (page, customer) => page.locator(`[data-row="${customer.key}"]`);
const timeline = (page) => page.getByRole('log');
const offer = (page) => page.getByRole('region', { name: 'A customer for you' });

/** Writes an entry of the knowledge base, and approves it. */
export async function writeEntry(page, id, question, answer) {
  await go(page, '#/knowledge');
  await page.getByRole('button', { name: 'New entry' }).click();
  await page.getByRole('textbox', { name: 'Id', exact: true }).fill(id);
  await page.getByRole('textbox', { name: 'Question', exact: true }).fill(question);
  await page.getByRole('textbox', { name: 'Answer', exact: true }).fill(answer);
  await page.getByRole('textbox', { name: 'Language' }).fill('en');
  await page.getByRole('button', { name: 'Save as a draft' }).click();
  await page.getByRole('button', { name: 'Approve version 1' }).click();
  await page.getByText('It answers from now on.').waitFor();
}

export async function rejectedThenAccepted(a, b, customer) {
  await step('a customer asks for a person, and A is offered the conversation', async () => {
    await setStatus(a, 'available');
    await setStatus(b, 'away');
    await customer.says(`I need a human, please ${HOSTILE}`);
    await go(a, '#/inbox/mine');
    await row(a, customer).click();
    await offer(a).waitFor();
    await screenshot(a, 'offer-light');
  });
  await step('A rejects with a reason, and B is offered it', async () => {
    await setStatus(b, 'available');
    await offer(a).getByRole('button', { name: 'Reject' }).click();
    await a.getByLabel('Why').fill('Not my subject');
    await a.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await row(b, customer).waitFor();
    await row(b, customer).click();
    await offer(b).waitFor();
    await timeline(b).getByText('Not my subject').waitFor();
  });
  await step('B accepts with Enter', async () => {
    // Long enough that the wall of then shows it: its slider goes by the second.
    await b.waitForTimeout(1500);
    await b.locator('[data-key="accept"]:focus').waitFor();
    await b.keyboard.press('Enter');
    await b.getByRole('textbox', { name: 'Reply' }).waitFor();
    await row(a, customer).waitFor({ state: 'detached' });
  });
}

export async function adoptsAndReplies(b, customer, { question, answer }) {
  await step('a suggested answer is adopted', async () => {
    await customer.says(question);
    const suggestions = b.getByRole('region', { name: 'Suggested answers' });
    await suggestions.waitFor();
    await screenshot(b, 'conversation-light');
    await suggestions.getByRole('button', { name: 'Send' }).first().click();
    await timeline(b).getByText(answer).waitFor();
  });
  await step('drafts are kept, replies and notes are sent', async () => {
    const field = b.getByRole('textbox', { name: 'Reply' });
    await field.fill('A draft that is');
    await go(b, '#/wall');
    await b.getByRole('heading', { name: 'Wall' }).waitFor();
    await go(b, `#/inbox/mine/${customer.key}`);
    await field.waitFor();
    claim((await field.inputValue()) === 'A draft that is', 'the draft is there again');
    await field.pressSequentially(' kept. 谢谢');
    await field.press('Enter');
    await timeline(b).getByText('A draft that is kept. 谢谢').waitFor();
    await b.getByRole('button', { name: 'Note', exact: true }).click();
    await b.getByRole('textbox', { name: 'Note' }).fill('paid by invoice');
    await b.getByRole('textbox', { name: 'Note' }).press('Enter');
    await timeline(b).getByText('paid by invoice').waitFor();
    await b.getByRole('button', { name: 'Reply', exact: true }).click();
  });
  await step('tags are added, and a file is sent', async () => {
    await b.getByRole('textbox', { name: 'Add a tag' }).fill('refund');
    await b.getByRole('textbox', { name: 'Add a tag' }).press('Enter');
    await b.getByRole('button', { name: 'Remove the tag refund' }).waitFor();
    const buffer = Buffer.from('a report');
    await b
      .locator('.composer input[type=file]')
      .setInputFiles({ name: 'report.txt', mimeType: 'text/plain', buffer });
    await b.getByRole('button', { name: 'Remove report.txt' }).waitFor();
    await b.getByRole('button', { name: 'Send', exact: true }).last().click();
    await timeline(b).getByRole('link', { name: 'report.txt' }).waitFor();
  });
}

export async function scriptsAreText(b, customer) {
  await step('script in a message, a name and a file name is shown as text', async () => {
    await customer.sendsFile('"><img src=x onerror=window.pwned=1>.txt', 'hello');
    await timeline(b).getByText('"><img src=x onerror=window.pwned=1>.txt').waitFor();
    claim(
      await timeline(b).getByText(HOSTILE, { exact: false }).first().isVisible(),
      'the message is shown as it was written',
    );
    claim(
      (await b.getByRole('heading', { level: 1 }).textContent())?.includes('<b>'),
      'the name is shown as it is',
    );
    const state = await b.evaluate(() => ({
      pwned: window.pwned,
      scripts: document.querySelectorAll('#app script').length,
      images: document.querySelectorAll('#app img[src="x"]').length,
      bold: document.querySelectorAll('#app b').length,
    }));
    claim(
      state.pwned === undefined && state.scripts + state.images + state.bold === 0,
      JSON.stringify(state),
    );
    const policy = (await b.request.get(b.url())).headers()['content-security-policy'] ?? '';
    claim(
      policy.includes("default-src 'self'") && !policy.includes('unsafe'),
      `the policy is strict: ${policy}`,
    );
  });
}

export async function closedAndRated(b, customer) {
  await step('B closes with a disposition, and the customer rates', async () => {
    await b.getByRole('button', { name: 'Close', exact: true }).click();
    await b.getByLabel('Disposition').selectOption('solved');
    await b.getByLabel('Remark').fill('money is on its way');
    await b.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).last().click();
    await timeline(b).getByText('Disposition: solved').waitFor();
    await timeline(b)
      .getByText(/Session 1 ended/)
      .waitFor();
    await customer.says('5');
    await timeline(b).getByText('The customer’s rating: 5 of 5').waitFor();
    await go(b, `#/inbox/closed/${customer.key}`);
    await row(b, customer).waitFor();
  });
}

/** Presses buttons of several pages in the same moment, as exactly as timers allow. */
async function atOnce(buttons) {
  const moment = Date.now() + 500;
  const press = (button, at) => setTimeout(() => button.click(), at - Date.now());
  await Promise.all(buttons.map((button) => button.evaluate(press, moment)));
}

export async function oneOfTwoWins(a, b, supervisor, customer, names) {
  await step('two want the same conversation: one wins, the other is told who', async () => {
    await setStatus(b, 'away');
    await setStatus(a, 'available');
    await customer.says('human please');
    await row(a, customer).waitFor();
    await row(a, customer).click();
    await offer(a).waitFor();
    await go(supervisor, `#/inbox/all/${customer.key}`);
    const takeOver = supervisor.getByRole('button', { name: 'Take over' });
    await takeOver.waitFor();
    await atOnce([offer(a).getByRole('button', { name: 'Accept' }), takeOver]);
    const told = (page, words) => page.locator('.toast').getByText(words).first().waitFor();
    // Where the supervisor had seen that A has it, and takes it all the same, A is told that.
    await Promise.any([
      told(a, `${names.supervisor} has it already.`),
      told(supervisor, `${names.a} has it already.`),
      told(a, `${names.supervisor} took over your conversation`),
    ]).catch(async (error) => {
      const seen = async (page) => (await page.locator('body').innerText()).slice(-1500);
      throw new Error(
        `${error.message}\nA sees: ${await seen(a)}\nthe supervisor sees: ${await seen(supervisor)}`,
      );
    });
    const reply = (page) => page.getByRole('textbox', { name: 'Reply' });
    const holders = async () => (await reply(a).count()) + (await reply(supervisor).count());
    await until(async () => (await holders()) === 1, 'exactly one of them has it');
  });
  await step('the winner closes it by keys', async () => {
    const winner = (await a.getByRole('textbox', { name: 'Reply' }).count()) === 1 ? a : supervisor;
    // Out of the writing field, in which letters are letters.
    await winner.getByRole('heading', { level: 1 }).click();
    await winner.keyboard.press('c');
    await winner.getByLabel('Disposition').selectOption('solved');
    await winner.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).last().click();
    await timeline(winner)
      .getByText(/Session 1 ended/)
      .waitFor();
  });
}

export async function supervisorSees(supervisor, customer) {
  await step('a supervisor sees why it is there, and how it was', async () => {
    await go(supervisor, `#/inbox/all/${customer.key}`);
    await supervisor.getByRole('button', { name: 'More' }).click();
    await supervisor.getByRole('group', { name: 'More' }).getByRole('button', { name: 'Why here?' }).click();
    await supervisor.getByRole('dialog').getByText('Recorded decisions').waitFor();
    await supervisor.getByRole('dialog').locator('.decision summary').first().click();
    await screenshot(supervisor, 'why-light');
    await supervisor.keyboard.press('Escape');
    await supervisor.getByRole('button', { name: 'More' }).click();
    await supervisor.getByRole('button', { name: 'As it was earlier…' }).click();
    const slider = supervisor.getByRole('slider');
    await slider.waitFor();
    const count = () => supervisor.locator('.timeline .item').count();
    const all = await count();
    await slider.focus();
    await slider.press('Home');
    await supervisor.waitForFunction(
      (before) => document.querySelectorAll('.timeline .item').length < before,
      all,
    );
    await supervisor.getByRole('button', { name: 'Back to now' }).click();
    await supervisor.waitForFunction(
      (before) => document.querySelectorAll('.timeline .item').length === before,
      all,
    );
  });
}
