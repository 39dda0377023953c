/**
 * Random statements by the million: `npm run chaos:statements -- --statements 1000000 --seed 1`. A file is moved live and followed while its
 * application inserts, updates, deletes, replaces, moves keys, cascades, rolls back and rebuilds tables, in transactions of any length. After
 * each batch both sides have to be equal, row by row. The exit status is 0 only if they always were.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Database, Statement } from 'better-sqlite3'
import type { Follow } from '../../packages/tidemark/dist/move/follow/follow.js'
import { type FollowedFile, followedFile } from '../../packages/tidemark/dist/move/follow/testing/followed-file.js'
import { startEmbeddedPostgres } from '../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { openState } from '../../packages/tidemark/dist/state/state.js'
import { count, interruptible, main, parseOptions } from '../options.ts'
import { differences } from './compare.ts'
import { createMachineClock } from './live/machine-clock.ts'
import { Project } from './project.ts'
import { between, type Dice, diceOf, oneOf } from './random.ts'
import { anyStatement, anyTable, rebuild, statementSchema, statementTables } from './random-statements.ts'
import { Tally, tell } from './tally.ts'

/** A refusal by the application's own constraints; any other error is ours. */
const isRefusal = (error: unknown): boolean => /^SQLITE_CONSTRAINT/.test(String((error as { code?: unknown }).code))

/** The application. Its connection is one of its own, so that a transaction of it may be open while the follower looks. */
class Application {
  ran = 0
  refused = 0
  readonly #db: Database
  readonly #dice: Dice
  readonly #prepared = new Map<string, Statement>()

  constructor(db: Database, dice: Dice) {
    this.#db = db
    this.#dice = dice
    db.function('dice', (min, max) => between(dice, Number(min), Number(max)))
  }

  get isInTransaction(): boolean {
    return this.#db.inTransaction
  }

  #try(run: () => unknown): void {
    this.ran++
    try {
      run()
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.refused++
    }
  }

  one(): void {
    const { sql, values } = anyStatement(this.#dice)
    const statement = this.#prepared.get(sql) ?? this.#db.prepare(sql)
    this.#prepared.set(sql, statement)
    this.#try(() => (statement.reader ? statement.all(...values) : statement.run(...values)))
  }

  exec(sql: string): void {
    this.#try(() => this.#db.exec(sql))
  }

  /** Deferred foreign keys are looked at here. */
  end(): void {
    this.exec(this.#dice() < 0.15 ? 'ROLLBACK' : 'COMMIT')
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
  }

  /** A migration, a VACUUM, or another way of the connection; between transactions. */
  upkeep(): void {
    const what = this.#dice()
    if (what < 0.3) this.#db.exec('VACUUM')
    else if (what < 0.5) this.#db.pragma(`recursive_triggers = ${between(this.#dice, 0, 1)}`)
    else {
      this.#db.pragma('foreign_keys = OFF')
      this.#db.exec(rebuild(anyTable(this.#dice)))
      this.#db.pragma('foreign_keys = ON')
    }
  }
}

/** Statements up to `until`, in transactions, with the follower at work meanwhile. It may have to wait for the end of one. */
const batch = async (application: Application, follow: Follow, dice: Dice, until: number): Promise<void> => {
  while (application.ran < until) {
    if (dice() < 0.002) application.upkeep()
    const ticking = dice() < 0.06 ? follow.tick() : undefined
    if (dice() < 0.8) application.exec('BEGIN IMMEDIATE')
    let savepoint = false
    for (let left = application.isInTransaction ? between(dice, 1, 60) : 1; left > 0; left--) {
      if (application.isInTransaction && dice() < 0.05) {
        application.exec(savepoint ? oneOf(dice, ['ROLLBACK TO maybe', 'RELEASE maybe']) : 'SAVEPOINT maybe')
        savepoint = !savepoint
      }
      application.one()
      if (ticking) await setImmediate()
    }
    if (application.isInTransaction) application.end()
    await ticking
  }
}

const storm = async (file: FollowedFile, url: string, asked: Asked, tally: Tally): Promise<Application> => {
  const dice = diceOf(asked.seed)
  const application = new Application(file.app, dice)
  const open = () => file.follow({ maxBatchBytes: oneOf(dice, [10_000, 200_000, 8_000_000]) })
  let follow = await open()
  let told = 0
  while (application.ran < asked.statements && tally.failures.length === 0) {
    await batch(application, follow, dice, Math.min(asked.statements, application.ran + asked.batch))
    await follow.drain()
    const found = await differences(file.path, url, statementTables)
    if (found.length > 0)
      tally.fail(`after ${application.ran} statements: ${found.length} rows differ:\n    ${found.slice(0, 10).join('\n    ')}`)
    if (dice() < 0.2) {
      await follow.close()
      if (dice() < 0.5) await file.takeOver()
      follow = await open()
    }
    if (application.ran - told < asked.statements / 20) continue
    told = application.ran
    tell(`${application.ran} statements, ${application.refused} refused by the file's own constraints`)
  }
  const { tables } = await file.verify()
  for (const { table, differences: left } of tables)
    if (left.length > 0) tally.fail(`verification finds ${left.length} differences in ${table}`)
  return application
}

interface Asked {
  readonly statements: number
  readonly batch: number
  readonly seed: number
}

const run = async (asked: Asked, signal: AbortSignal): Promise<boolean> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-'))
  await chmod(folder, 0o755)
  const tally = new Tally()
  const clock = createMachineClock(folder)
  const project = new Project(folder, clock, tally)
  const began = performance.now()
  let application: Application | undefined
  // Nothing crashes here, so nothing waits for the disk.
  const state = await openState(project.stateDir)
  const postgres = await startEmbeddedPostgres({ state, disposable: true })
  try {
    await project.reachPostgres()
    const url = await project.url()
    const file = await followedFile({ folder, url, schema: 'public', make: statementSchema })
    try {
      file.app.pragma('foreign_keys = ON')
      application = await interruptible(signal, storm(file, url, asked, tally))
    } finally {
      await file.close()
    }
  } catch (error) {
    tally.fail(error instanceof Error ? `${error.stack}` : String(error))
  } finally {
    await postgres.stop()
    clock.close()
    if (tally.failures.length === 0 || signal.aborted) await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
  for (const failure of tally.failures) console.log(failure)
  const seconds = Math.round((performance.now() - began) / 1000)
  const what = `${application?.ran ?? 0} statements (${application?.refused ?? 0} refused) in ${seconds} s, both sides equal after each batch of ${asked.batch}, seed ${asked.seed}`
  console.log(`${tally.failures.length === 0 ? 'PASSED' : `FAILED (${folder} is kept)`}: ${what}`)
  return tally.failures.length === 0
}

const usage = `npm run chaos:statements -- [options]
  --statements <n>   how many (default 100000)
  --batch <n>        statements between two comparisons (default 2000)
  --seed <n>         what the dice begin with (default 1)`

await main((signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { statements: option, batch: option, seed: option })
  const asked = {
    statements: count('statements', values['statements'], { default: 100_000, min: 1, max: 1e9 }),
    batch: count('batch', values['batch'], { default: 2000, min: 1, max: 1e9 }),
    seed: count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 }),
  }
  return run(asked, signal)
})
