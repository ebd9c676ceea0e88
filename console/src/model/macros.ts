// Fills a macro's placeholders: `{customer.name}`, `{agent.name}`, `{queue}`, `{collected.order}`, ….

export type Known = Record<string, string | undefined | null>;

/** A placeholder of which nothing is known stays, so that the agent sees it and fills it in. */
export function fillMacro(text: string, known: Known): string {
  // An entry writes a brace twice, since one brace is a variable there.
  const plain = text.replaceAll('{{', '{').replaceAll('}}', '}');
  return plain.replace(
    /\{([\w.-]+)\}/g,
    (whole, name: string) => known[name] || known[name.replace('_', '.')] || whole,
  );
}

/** Where the first placeholder stands that nothing was known of. */
export function firstGap(text: string): [number, number] | null {
  const found = /\{[\w.-]+\}/.exec(text);
  return found ? [found.index, found.index + found[0].length] : null;
}
