/**
 * Kills `tidemark move copy` with SIGKILL at random moments, again and again, takes it up each time, and verifies every finished copy:
 * `npm run chaos:copy -- --kills 50 --seed 1`. Ends with a verdict; the exit status is 0 only if every copy was proven.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import { count, interruptible, main, parseOptions } from '../options.ts'
import { diceOf } from './random.ts'

const executable = fileURLToPath(new URL('../../packages/tidemark/bin/tidemark.js', import.meta.url))

/** Every kind of row handle: a rowid, a composite key without rowid, no key at all, and large values. */
const makeFile = (path: string, rows: number, random: () => number): void => {
  const db = new Sqlite(path)
  db.exec(`
    CREATE TABLE events (id INTEGER PRIMARY KEY, at DATETIME NOT NULL, name TEXT, amount DECIMAL(10,2), ok BOOLEAN);
    CREATE INDEX events_name ON events (name);
    CREATE TABLE pairs (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE TABLE lines (text TEXT, weight REAL);
    CREATE TABLE files (id INTEGER PRIMARY KEY, event_id INTEGER REFERENCES events (id), body BLOB);`)
  const word = (): string => Math.floor(random() * 1e9).toString(36)
  const insert = (sql: string, count: number, row: (i: number) => unknown[]): void => {
    const statement = db.prepare(sql)
    for (let i = 1; i <= count; i++) statement.run(...row(i))
  }
  db.transaction(() => {
    const at = (i: number) => new Date(1_600_000_000_000 + i * 60_000).toISOString().slice(0, 19)
    insert('INSERT INTO events VALUES (?, ?, ?, ?, ?)', rows, (i) => [i, at(i), word(), Math.floor(random() * 1e6) / 100, i % 2])
    insert('INSERT INTO pairs VALUES (?, ?, ?)', rows / 4, (i) => [word(), i, word().repeat(3)])
    insert('INSERT INTO lines VALUES (?, ?)', rows / 4, (i) => [i % 3 === 0 ? 'the same' : word(), random()])
    insert('INSERT INTO files VALUES (?, ?, ?)', rows / 100, (i) => [i, i, Buffer.alloc(4000 + Math.floor(random() * 8000), i)])
  })()
  db.close()
}

interface Ended {
  readonly code: number | null
  readonly output: string
}

const start = (cwd: string, args: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } => {
  const child = spawn(process.execPath, [executable, ...args, '--json'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.resume()
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, output })) }
}

const run = (cwd: string, args: readonly string[]): Promise<Ended> => start(cwd, args).ended

interface Tally {
  kills: number
  copies: number
  resumed: number
  lastCopyMs: number
  readonly failures: string[]
}

/** Copies into one schema, killing as it goes, until a copy gets through; then proves it. */
const ordeal = async (
  cwd: string,
  schema: string,
  random: () => number,
  longestMs: number,
  kills: number,
  tally: Tally,
): Promise<void> => {
  const copy = ['move', 'copy', 'chaos.db', '--schema', schema]
  for (let taken = 0; ; taken++) {
    const { child, ended } = start(cwd, copy)
    const began = performance.now()
    const timer = setTimeout(() => child.kill('SIGKILL'), tally.kills < kills ? random() * longestMs : 600_000)
    const { code, output } = await ended
    clearTimeout(timer)
    tally.lastCopyMs = performance.now() - began
    if (child.signalCode === 'SIGKILL') {
      tally.kills++
      continue
    }
    if (taken > 0) tally.resumed++
    if (code !== 0) tally.failures.push(`copy into ${schema} ended with ${code}: ${output.slice(0, 500)}`)
    break
  }
  const { code, output } = await run(cwd, ['move', 'verify', 'chaos.db', '--schema', schema])
  tally.copies++
  if (code !== 0) tally.failures.push(`verification of ${schema} ended with ${code}: ${output.slice(0, 2000)}`)
}

const usage = `npm run chaos:copy -- [options]
  --kills <n>   how often a copy is killed (default 50)
  --rows <n>    rows of the file (default 200000)
  --seed <n>    what the dice begin with (default 1)`

await main(async (signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { kills: option, rows: option, seed: option })
  const kills = count('kills', values['kills'], { default: 50, min: 0, max: 100_000 })
  const rows = count('rows', values['rows'], { default: 200_000, min: 1, max: 100_000_000 })
  const seed = count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 })
  const random = diceOf(seed)
  const cwd = await mkdtemp(join(tmpdir(), 'tidemark-chaos-'))
  await chmod(cwd, 0o755)
  makeFile(join(cwd, 'chaos.db'), rows, random)
  const server = start(cwd, ['start', '--port', '0'])
  const tally: Tally = { kills: 0, copies: 0, resumed: 0, lastCopyMs: 0, failures: [] }
  try {
    await interruptible(signal, ordeal(cwd, 'calm', random, 0, 0, tally))
    const longestMs = tally.lastCopyMs
    for (let round = 1; tally.kills < kills; round++) {
      await interruptible(signal, ordeal(cwd, `storm_${round}`, random, longestMs, kills, tally))
      console.log(`${tally.kills} of ${kills} kills, ${tally.copies} copies proven or not, ${tally.failures.length} failures`)
    }
  } finally {
    server.child.kill('SIGTERM')
    await server.ended
    await rm(cwd, { recursive: true, force: true, maxRetries: 10 })
  }
  for (const failure of tally.failures) console.log(failure)
  const verdict = tally.failures.length === 0 ? 'PASSED' : 'FAILED'
  console.log(
    `chaos:copy ${verdict}: ${tally.kills} kills (seed ${seed}), ${tally.copies} copies, ${tally.resumed} of them taken up after a kill, ${tally.failures.length} failures`,
  )
  return tally.failures.length === 0
})
