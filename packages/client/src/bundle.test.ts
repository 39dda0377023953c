import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'

/** What an application brings along itself. */
const peers = [/^@supabase\//, /^@tanstack\//, /^react(\/|$)/]

interface Bundle {
  readonly gzipBytes: number
  readonly imports: readonly string[]
}

/** Bundles an entry for browsers as an application would. */
const bundle = async (entry: string): Promise<Bundle> => {
  const outcome = await build({
    configFile: false,
    logLevel: 'silent',
    root: fileURLToPath(new URL('.', import.meta.url)),
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      rollupOptions: {
        input: fileURLToPath(new URL(entry, import.meta.url)),
        external: peers,
        preserveEntrySignatures: 'strict',
        output: { format: 'es' },
      },
    },
  })
  const outputs = (Array.isArray(outcome) ? outcome : [outcome]).flatMap((one) => ('output' in one ? one.output : []))
  const chunks = outputs.flatMap((output) => (output.type === 'chunk' ? [output] : []))
  return {
    gzipBytes: gzipSync(chunks.map(({ code }) => code).join('\n'), { level: 9 }).length,
    imports: [...new Set(chunks.flatMap(({ imports }) => imports))].sort(),
  }
}

describe('what an application loads besides supabase-js, React and TanStack Query', () => {
  const kb = 1_000
  test.each([
    ['the client', './index.ts', 15 * kb, ['@supabase/supabase-js']],
    [
      'with hooks',
      './react/index.ts',
      15 * kb,
      ['@tanstack/react-query', 'react', expect.stringMatching(/^react\/jsx-(dev-)?runtime$/)],
    ],
  ])('%s: at most 15 KB gzip, nothing of Node', async (_name, entry, mostBytes, imports) => {
    const made = await bundle(entry)
    expect(made.imports).toEqual(imports)
    expect(made.gzipBytes).toBeGreaterThan(500)
    expect(made.gzipBytes).toBeLessThanOrEqual(mostBytes)
  })
})
