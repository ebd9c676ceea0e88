import { defineConfig } from 'vitest/config';

export default defineConfig({
  build: {
    target: 'es2022',
    // A strict content policy allows no `data:` styles or scripts, and every file has to have a name of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { proxy: { '/api': { target: process.env.KEFU_URL ?? 'http://127.0.0.1:7070', ws: true } } },
  test: { include: ['test/**/*.test.ts'] },
});
