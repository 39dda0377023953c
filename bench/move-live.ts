// `npm run bench:move-live`: how fast a live move catches up, how far it lags, and how long a switch stops the application. See README.md.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { count, main, parseOptions } from '../scripts/options.ts'
import { type BenchPostgres, openBenchPostgres } from './measuring/bench-postgres.ts'
import { loadText } from './measuring/report.ts'
import { type AppWriter, type AppWriterOptions, pulseTable, startAppWriter, type WriterSummary } from './move-live/app-writer.ts'
import { type CatchUpRound, catchUpRound, prepareBatchedUpserts } from './move-live/catch-up.ts'
import { type LiveCommands, liveCommands, type SwitchJson } from './move-live/live-commands.ts'
import { moveLiveReport } from './move-live/move-live-report.ts'
import { type Ledger, ledgerOf, type MoveSides, moveSides, requireEqual, until } from './move-live/move-sides.ts'
import { AppFile } from './move-live/write-kinds.ts'

const usage = `npm run bench:move-live -- [options]
  --rows <n>      rows of the file (default 200000)
  --rounds <n>    rounds of catching up, and journeys there and back (default 3)
  --backlog <n>   changes that wait in each round of catching up (default 50000)
  --rate <n>      commits a second of the application (default 1000)
  --seconds <n>   how long the lag is measured (default 10)
BENCH_DATABASE_URL names a Postgres (as a role that may create databases and roles); without it an embedded one is started.`

interface MoveLiveOptions {
  readonly rows: number
  readonly rounds: number
  readonly backlog: number
  readonly rate: number
  readonly seconds: number
}

const readOptions = (): MoveLiveOptions => {
  const text = { type: 'string' } as const
  const given = parseOptions(usage, { rows: text, rounds: text, backlog: text, rate: text, seconds: text })
  return {
    rows: count('rows', given['rows'], { default: 200_000, min: 1000, max: 10_000_000 }),
    rounds: count('rounds', given['rounds'], { default: 3, min: 1, max: 100 }),
    backlog: count('backlog', given['backlog'], { default: 50_000, min: 100, max: 10_000_000 }),
    rate: count('rate', given['rate'], { default: 1000, min: 1, max: 100_000 }),
    seconds: count('seconds', given['seconds'], { default: 10, min: 1, max: 3600 }),
  }
}

/** A switch is measured, not cut short: the target is judged at the end. */
const maxPause = ['--max-pause', '30s']
/** How long the application writes to one side before the next switch. */
const stayMs = 3000

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Scene {
  readonly options: MoveLiveOptions
  readonly path: string
  readonly commands: LiveCommands
  readonly sides: MoveSides
  readonly signal: AbortSignal
  startWriter(): AppWriter
}

const catchUp = async ({ options, commands, sides, signal }: Scene, app: AppFile): Promise<readonly CatchUpRound[]> => {
  await prepareBatchedUpserts(sides.client)
  const rounds: CatchUpRound[] = []
  for (let round = 1; round <= options.rounds; round++) {
    const done = await catchUpRound(sides, app, { commands, changes: options.backlog, round, signal })
    rounds.push(done)
    const perSecond = Math.round((done.followed / done.followMs) * 1000).toLocaleString('en')
    console.log(`  round ${round}: ${done.changes} changes, ${perSecond} a second · ${loadText()}`)
  }
  return rounds
}

const now = (): number => performance.timeOrigin + performance.now()
const lookEveryMs = 5

/** How old each pulse is when a reader of Postgres first sees it, in order of age. */
const lags = async ({ options, commands, sides, signal, startWriter }: Scene): Promise<readonly number[]> => {
  const conductor = commands.follow()
  const writer = startWriter()
  const late: number[] = []
  try {
    let last = 0
    const look = async (): Promise<number> => {
      const { rows } = await sides.client.query<{ n: string; at: number }>({
        name: 'pulses',
        text: 'SELECT n, at FROM pulses WHERE n > $1 ORDER BY n',
        values: [last],
      })
      const seenAt = now()
      for (const { at } of rows) late.push(seenAt - at)
      last = Number(rows.at(-1)?.n ?? last)
      return rows.length
    }
    // From when both are there on: what waits for the follower's start is a backlog.
    await until(async () => (await look()) > 0, { what: 'the first change', signal })
    const beginAt = performance.now() + 500
    while (performance.now() < beginAt) await look().then(() => sleep(lookEveryMs))
    late.length = 0
    while (performance.now() < beginAt + options.seconds * 1000) {
      signal.throwIfAborted()
      await look()
      await sleep(lookEveryMs)
    }
  } finally {
    await stopWriter(writer)
    await conductor.stop()
  }
  return late.sort((a, b) => a - b)
}

const total = { pulses: 0, pulseSum: 0, changes: 0 }

const stopWriter = async (writer: AppWriter): Promise<WriterSummary> => {
  const summary = await writer.stop()
  total.pulses += summary.pulses
  total.pulseSum += summary.pulseSum
  total.changes += summary.changes
  return summary
}

export interface Journeys {
  readonly cutovers: readonly SwitchJson[]
  readonly rollbacks: readonly SwitchJson[]
  /** As the application saw them. */
  readonly seenCutovers: readonly number[]
  readonly seenRollbacks: readonly number[]
  readonly summary: WriterSummary
}

const stepsText = ({ pauseMs, steps }: SwitchJson): string =>
  `${Math.round(pauseMs)} ms (${steps.map(({ step, elapsedMs }) => `${step} ${Math.round(elapsedMs)}`).join(', ')})`

/** There and back again under an application that writes all the time and goes where it is let. */
const journeys = async ({ options, commands, path, signal, startWriter }: Scene): Promise<Journeys> => {
  const writer = startWriter()
  const [cutovers, rollbacks]: [SwitchJson[], SwitchJson[]] = [[], []]
  const seen = (to: 'postgres' | 'sqlite') => writer.switches.filter((one) => one.to === to).map(({ pauseMs }) => pauseMs)
  try {
    for (let round = 1; round <= options.rounds; round++) {
      const conductor = commands.follow()
      await sleep(stayMs)
      const cutover = await commands.run<SwitchJson>('cutover', path, '--no-mirror', ...maxPause)
      await until(() => seen('postgres').length === round, { what: 'the application at Postgres', signal })
      console.log(
        `  round ${round}: cutover ${stepsText(cutover)}, the application saw ${Math.round(seen('postgres').at(-1)!)} ms`,
      )
      await sleep(stayMs)
      const rollback = await commands.run<SwitchJson>('rollback', path, ...maxPause)
      await until(() => seen('sqlite').length === round, { what: 'the application at SQLite', signal })
      console.log(
        `  round ${round}: rollback ${stepsText(rollback)}, the application saw ${Math.round(seen('sqlite').at(-1)!)} ms`,
      )
      await conductor.stop()
      cutovers.push(cutover)
      rollbacks.push(rollback)
      console.log(`  ${loadText()}`)
    }
    const summary = await stopWriter(writer)
    return { cutovers, rollbacks, seenCutovers: seen('postgres'), seenRollbacks: seen('sqlite'), summary }
  } catch (error) {
    writer.kill()
    throw error
  }
}

/** Every write that was accepted is there, once, and on both sides. */
const check = async ({ commands, path, sides }: Scene, before: Ledger): Promise<void> => {
  await commands.run('follow', path, '--until-ready')
  await requireEqual(sides)
  const { pulses, pulseSum, quantity } = ledgerOf(sides)
  const expected = { pulses: total.pulses, pulseSum: total.pulseSum, quantity: before.quantity + total.changes }
  if (pulses === expected.pulses && pulseSum === expected.pulseSum && quantity === expected.quantity) return
  throw new Error(
    `accepted writes came to ${JSON.stringify(expected)}, and there are ${JSON.stringify({ pulses, pulseSum, quantity })}`,
  )
}

const measure = async (scene: Scene, app: AppFile): Promise<boolean> => {
  const { options, commands, path, sides } = scene
  await commands.run('status')
  await commands.run(path, '--until-ready')
  console.log(`catching up · ${loadText()}`)
  const caughtUp = await catchUp(scene, app)
  const before = ledgerOf(sides)
  console.log(`lag · ${loadText()}`)
  const late = await lags(scene)
  console.log(`switching · ${loadText()}`)
  const there = await journeys(scene)
  await check(scene, before)
  console.log('Both sides are equal, and hold every accepted write once.')
  const { met, text } = moveLiveReport({ rate: options.rate, caughtUp, late, ...there })
  console.log(`\n${text}`)
  return met
}

const open = (folder: string, postgres: BenchPostgres, options: MoveLiveOptions, signal: AbortSignal) => {
  const path = join(folder, 'app.db')
  const app = new AppFile({ path, rows: options.rows, isUnique: true, seed: 20_260_101 })
  const db = new Database(path)
  db.exec(pulseTable)
  const { url, client, settle } = postgres
  const startWriter = (): AppWriter => {
    const firstPulse = db.prepare<[], number>('SELECT coalesce(max(n), 0) + 1 FROM pulses').pluck().get()!
    const given: AppWriterOptions = { path, url, rate: options.rate, firstPulse, ...app.ids }
    return startAppWriter(given)
  }
  const scene: Scene = {
    options,
    path,
    signal,
    startWriter,
    commands: liveCommands({ path, url, folder, signal }),
    sides: moveSides(db, client, settle),
  }
  const close = (): void => {
    app.close()
    db.close()
  }
  return { scene, app, close }
}

await main(async (signal) => {
  const options = readOptions()
  const postgres = await openBenchPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-live-'))
  try {
    await chmod(folder, 0o755)
    console.log(`${options.rows.toLocaleString('en')} rows · ${postgres.description}`)
    console.log(`Node ${process.versions.node} · ${availableParallelism()} cores · ${loadText()}`)
    const { scene, app, close } = open(folder, postgres, options, signal)
    return await measure(scene, app).finally(close)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await postgres.stop()
  }
})
