// What the caller says: where the server is, and who works there.

function needed(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set. ${USAGE}`);
    process.exit(2);
  }
  return value;
}

const USAGE = `Needed:
  KEFU_URL                      address of a running kefu
  KEFU_TENANT                   a tenant with the queue that both agents serve, and the disposition "solved"
  KEFU_AGENT_A, KEFU_AGENT_B    users who are agents; KEFU_AGENT_A_PASSWORD, KEFU_AGENT_B_PASSWORD
  KEFU_SUPERVISOR               a user who is a supervisor, and an agent; KEFU_SUPERVISOR_PASSWORD
  KEFU_BIN, KEFU_DATA           the program and its directory: customers write with "kefu send"
Or, with the argument "first": the first start, of a kefu whose tenant has no users
  KEFU_SETUP                    the address that it printed; the user KEFU_ADMIN is made
Optional:
  KEFU_ADMIN, KEFU_ADMIN_PASSWORD   an administrator, for the pages of administration
  KEFU_SCREENSHOTS              a folder for pictures of each main page
  KEFU_CHROMIUM                 the browser [/usr/bin/chromium]
  KEFU_PATIENCE_S               how long something may take [20]`;

const person = (name) => ({ user: needed(name), password: needed(`${name}_PASSWORD`) });

export const environment = {
  url: needed('KEFU_URL'),
  tenant: needed('KEFU_TENANT'),
  // Read when they are used: at the first start there is nobody yet.
  get agentA() {
    return person('KEFU_AGENT_A');
  },
  get agentB() {
    return person('KEFU_AGENT_B');
  },
  get supervisor() {
    return person('KEFU_SUPERVISOR');
  },
  admin: process.env.KEFU_ADMIN ? person('KEFU_ADMIN') : null,
  setUp: process.env.KEFU_SETUP ?? '',
  get bin() {
    return needed('KEFU_BIN');
  },
  get data() {
    return needed('KEFU_DATA');
  },
  screenshots: process.env.KEFU_SCREENSHOTS ?? '',
  chromium: process.env.KEFU_CHROMIUM ?? '/usr/bin/chromium',
  patienceMs: Number(process.env.KEFU_PATIENCE_S ?? 20) * 1000,
};
