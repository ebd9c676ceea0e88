// A customer, who writes over NATS with `kefu send`.

import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { environment } from './environment.mjs';

const run = promisify(execFile);
const CHANNEL = 'cli';

export class Customer {
  constructor(id, name) {
    this.id = id;
    this.name = name;
    this.key = undefined;
  }

  async send(...content) {
    const who = ['--from', this.id, '--name', this.name, '--channel', CHANNEL];
    const where = ['--data', environment.data, '--tenant', environment.tenant];
    const command = ['send', '--json', ...where, ...who, '--wait', '0s', ...content];
    const { stdout } = await run(environment.bin, command);
    const { sent } = JSON.parse(stdout.split('\n')[0]);
    this.key = sent.key;
    return sent;
  }

  says(text) {
    return this.send(text);
  }

  async sendsFile(name, text) {
    const folder = await mkdtemp(join(tmpdir(), 'kefu-e2e-'));
    const path = join(folder, name);
    await writeFile(path, text);
    return this.send('--file', path);
  }
}
