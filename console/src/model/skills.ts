// Skills as people write them.

/** `billing=3, vip=5`; a skill without a number is known as well as can be. */
export function readSkills(text: string): Record<string, number> {
  const pairs = text
    .split(/[,，]+/)
    .map((one) => one.trim())
    .filter(Boolean);
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name, level] = pair.split(/[=:：]/).map((part) => part.trim());
      return [name ?? '', level === undefined ? 5 : Number(level)];
    }),
  );
}
