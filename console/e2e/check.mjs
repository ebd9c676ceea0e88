// Steps with a name, and what is claimed in them.

import { environment } from './environment.mjs';

let current = 'start';
const started = performance.now();

export async function step(name, does) {
  current = name;
  const from = performance.now();
  const result = await does();
  console.log(`ok  ${name} (${Math.round(performance.now() - from)} ms)`);
  return result;
}

export const currentStep = () => current;
export const elapsed = () => Math.round(performance.now() - started);

export function claim(holds, what) {
  if (!holds) throw new Error(what);
}

/** Waits until it holds, for as long as anything may take. */
export async function until(holds, what) {
  for (const end = performance.now() + environment.patienceMs; !(await holds()); ) {
    claim(performance.now() < end, what);
    await new Promise((resume) => setTimeout(resume, 50));
  }
}

export function equal(found, wanted, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: ${a}, and not ${b}`);
}
