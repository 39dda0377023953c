import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import BetterSqlite, { type Database } from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { makeSqlite } from '../../testing/make-sqlite.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { until } from '../../time/until.js'
import type { CopyReport, MoveEvent, MovePlan } from '../move.js'
import { planMove } from '../plan/plan.js'
import { dishonesties } from '../quirks/honesty.js'
import { lookPlainly } from '../quirks/run-quirk.js'
import { verifyMove } from '../verify/verify.js'
import { type CopyOptions, copyMove } from './copy.js'

const folder = useFolder('copy')
const path = join(folder, 'app.db')
const rows = 6_000
const database = useDatabase()
const client = useClient(database)
let schemas = 0
let schema = ''
const target = { url: database.url }

/** A table for each way in which the copy walks and takes itself up again. */
const write = (writer: Database): void => {
  writer.pragma('synchronous = OFF')
  writer.exec(`
    CREATE TABLE by_id (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL, note TEXT);
    CREATE TABLE by_key (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
    CREATE TABLE keyless (a INTEGER, v TEXT);
    CREATE TABLE handleless (rowid INTEGER, _rowid_ TEXT, oid REAL);
    CREATE INDEX by_v ON by_id (v);`)
  const inserts = [
    'INSERT INTO by_id (v, note) VALUES (?, ?)',
    'INSERT INTO by_key VALUES (?, ?)',
    'INSERT INTO keyless VALUES (?, ?)',
    'INSERT INTO handleless VALUES (?, ?, 0.5)',
  ].map((sql) => writer.prepare(sql))
  writer.transaction(() => {
    for (let i = 0; i < rows; i++) {
      inserts[0]!.run(`row ${i}`, 'x'.repeat(i % 50))
      inserts[1]!.run(`key ${(i * 7919) % rows}`, i)
      inserts[2]!.run(i % 100, `text ${i % 1000}`)
      if (i < rows / 4) inserts[3]!.run(i % 10, `text ${i % 100}`)
    }
  })()
}

beforeAll(() => void makeSqlite(path, write))
beforeEach(() => {
  schema = `c${++schemas}`
})
afterEach(() => vi.restoreAllMocks())

const planned = (file = path): Promise<MovePlan> => planMove({ path: file, schema })
/** Transactions of 16 KiB, so that there are many places to stop at. */
const small = { transactionBytes: 16 * 1024 }

const expectWhole = async (plan: MovePlan, last: CopyReport): Promise<void> => {
  const verification = await verifyMove(plan, { target })
  expect(verification.ok).toBe(true)
  const looked = await lookPlainly({ path: plan.path, target }, plan, last.runId)
  // What earlier attempts copied counts as copied: the report of the last one tells its own rows only.
  const copy = { ...last, tables: last.tables.map((table) => ({ ...table, copied: table.rows - table.rejected })) }
  expect(dishonesties({ plan, copy, verification, ...looked })).toEqual([])
}

const tablesOf = async (name: string): Promise<string[]> => {
  const { rows } = await client.query<{ relname: string }>(
    "SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'v') ORDER BY 1",
    [name],
  )
  return rows.map(({ relname }) => relname)
}

const counts = async (): Promise<number[]> => {
  const sums: number[] = []
  for (const { source } of (await planned()).tables) {
    const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${schema}."${source}"`)
    sums.push(Number(rows[0]!.count))
  }
  return sums
}

describe('a copy that was finished', () => {
  it('copies nothing when it is asked for again', async () => {
    const plan = await planned()
    const first = await copyMove(plan, { target })
    expect(first).toMatchObject({ ok: true, resumed: false, unallowedRejects: 0, objects: { failed: [], unvalidated: [] } })
    expect(first.tables.map(({ copied }) => copied)).toEqual([rows, rows, rows, rows / 4])
    const second = await copyMove(await planned(), { target })
    expect(second).toMatchObject({ ok: true, resumed: true, runId: first.runId, objects: { made: 0 } })
    expect(second.tables.map(({ copied }) => copied)).toEqual([0, 0, 0, 0])
    await expectWhole(plan, second)
  })

  it('goes on with an id that was never given out', async () => {
    await copyMove(await planned(), { target })
    const { rows: ids } = await client.query(`INSERT INTO ${schema}.by_id (v) VALUES ('next') RETURNING id`)
    expect(ids).toEqual([{ id: String(rows + 1) }])
  })

  it('copies the same in threads, several to a table', async () => {
    const plan = await planned()
    const report = await copyMove(plan, { target, workers: 2, ...small })
    await expectWhole(plan, report)
  })
})

describe('a target that holds something', () => {
  const refused = { code: 'TM_MOVE_TARGET_NOT_EMPTY' }

  it('is left as it was when a table of that name stands there', async () => {
    await client.query(
      `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.by_key (mine text); INSERT INTO ${schema}.by_key VALUES ('mine')`,
    )
    await expect(copyMove(await planned(), { target })).rejects.toMatchObject(refused)
    expect(await tablesOf(schema)).toEqual(['by_key'])
    expect((await client.query(`SELECT * FROM ${schema}.by_key`)).rows).toEqual([{ mine: 'mine' }])
    const { rowCount } = await client.query('SELECT 1 FROM tidemark.move_runs WHERE target_schema = $1', [schema])
    expect(rowCount).toBe(0)
  })

  it('is left as it was when a view of that name stands there', async () => {
    await client.query(`CREATE SCHEMA ${schema}; CREATE VIEW ${schema}.keyless AS SELECT 1 AS one`)
    await expect(copyMove(await planned(), { target, onExisting: 'resume' })).rejects.toMatchObject(refused)
    expect(await tablesOf(schema)).toEqual(['keyless'])
  })

  it('is dropped and made anew by choice', async () => {
    await client.query(
      `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.by_key (mine text); CREATE TABLE ${schema}.other (x text)`,
    )
    const plan = await planned()
    const report = await copyMove(plan, { target, onExisting: 'replace' })
    expect(report).toMatchObject({ ok: true, resumed: false })
    expect(await tablesOf(schema)).toContain('other')
    await expectWhole(plan, report)
    await client.query(`DELETE FROM ${schema}.by_key`)
    await expectWhole(plan, await copyMove(plan, { target, onExisting: 'replace' }))
  })

  it('is not dropped by choice where a table of somebody else hangs on it', async () => {
    await copyMove(await planned(), { target })
    await client.query(`CREATE VIEW ${schema}.mine AS SELECT k FROM ${schema}.by_key`)
    await expect(copyMove(await planned(), { target, onExisting: 'replace' })).rejects.toMatchObject({
      code: expect.stringMatching(/^TM_/),
    })
    expect(await counts()).toEqual([rows, rows, rows, rows / 4])
  })
})

describe('MOVE-2: a copy that was broken off', () => {
  /** Breaks the copy off after so many tidings of progress. */
  const stopAfter = async (
    plan: MovePlan,
    events: number,
    { only, ...options }: Partial<CopyOptions> & { only?: string } = {},
  ): Promise<boolean> => {
    const controller = new AbortController()
    let left = events
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'progress' && (only ?? event.table) === event.table && --left === 0)
        controller.abort(new Error('enough'))
    }
    return copyMove(plan, { target, signal: controller.signal, onEvent, ...small, ...options }).then(
      () => true,
      (error: Error) => {
        expect(error.message).toContain('enough')
        return false
      },
    )
  }

  it.each([0, 2])('goes on wherever it stopped, again and again, with %i threads', async (workers) => {
    const plan = await planned()
    let attempts = 0
    for (let done = false; !done && attempts < 60; attempts++)
      done = await stopAfter(plan, 2 + ((attempts * 13) % 17), { workers })
    const last = await copyMove(plan, { target })
    expect(attempts).toBeGreaterThan(3)
    await expectWhole(plan, last)
  })

  it('is refused under other choices, and can be started again', async () => {
    const choicesPath = join(folder, `${schema}.json`)
    writeFileSync(choicesPath, JSON.stringify({ version: 1, tables: { by_id: { columns: { v: { type: 'bytea' } } } } }))
    expect(await stopAfter(await planned(), 5)).toBe(false)
    const other = await planMove({ path, schema, choicesPath })
    await expect(copyMove(other, { target })).rejects.toMatchObject({ code: 'TM_MOVE_TARGET_NOT_EMPTY' })
    await expect(copyMove(other, { target, onExisting: 'resume' })).rejects.toMatchObject({ code: 'TM_MOVE_PLAN_CHANGED' })
    await expectWhole(other, await copyMove(other, { target, onExisting: 'replace' }))
  })

  it('is told from one whose file was renumbered by VACUUM', async () => {
    const file = join(folder, 'vacuumed.db')
    copyFileSync(path, file)
    const writer = new BetterSqlite(file)
    writer.exec('DELETE FROM keyless WHERE a < 50')
    const plan = await planned(file)
    expect(await stopAfter(plan, 4, { only: 'keyless' })).toBe(false)
    writer.exec('VACUUM')
    writer.close()
    await expect(copyMove(await planned(file), { target })).rejects.toMatchObject({ code: 'TM_MOVE_PLAN_CHANGED' })
    const again = await planned(file)
    await expectWhole(again, await copyMove(again, { target, onExisting: 'replace' }))
  })

  it('survives the death of a thread', async () => {
    const plan = await planned()
    const threads: Worker[] = []
    const post = Worker.prototype.postMessage
    vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, ...given: Parameters<typeof post>) {
      if (!threads.includes(this)) threads.push(this)
      return post.apply(this, given)
    })
    let progress = 0
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'progress' && ++progress === 20) void threads[0]!.terminate()
    }
    await expect(copyMove(plan, { target, workers: 2, ...small, onEvent })).rejects.toMatchObject({ code: 'TM_MOVE_WORKER' })
    vi.restoreAllMocks()
    await expectWhole(plan, await copyMove(plan, { target, workers: 2 }))
  })

  it.each([
    ['the connection that copies', 'DESC'],
    ['the connection that leads', 'ASC'],
  ])('survives the loss of %s', async (_name, order) => {
    const plan = await planned()
    let progress = 0
    let killed: Promise<unknown> | undefined
    const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark/move' ORDER BY backend_start ${order} LIMIT 1`
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'progress' && ++progress === 10) killed = client.query(kill)
    }
    const error = await copyMove(plan, { target, ...small, onEvent }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ code: expect.stringMatching(/^TM_POSTGRES_/) })
    await killed
    await expectWhole(plan, await copyMove(plan, { target }))
  })

  it('keeps what each object of the schema came to', async () => {
    const plan = await planned()
    const controller = new AbortController()
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'object' && event.state === 'finished') controller.abort(new Error('enough'))
    }
    await expect(copyMove(plan, { target, signal: controller.signal, onEvent })).rejects.toThrow('enough')
    const last = await copyMove(plan, { target })
    expect(last.objects.made).toBe(plan.objects.filter(({ sql }) => sql.length > 0).length - 1)
    await expectWhole(plan, last)
  })
})

describe('two copies at once', () => {
  it('are one too many', async () => {
    const plan = await planned()
    let second: Promise<unknown> | undefined
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'progress') second ??= copyMove(plan, { target }).catch((error: unknown) => error)
    }
    const first = await copyMove(plan, { target, ...small, onEvent })
    expect(await second).toMatchObject({ code: 'TM_MOVE_RUNNING', message: expect.stringContaining(String(process.pid)) })
    await expectWhole(plan, first)
  })
})

describe('an application that goes on writing', () => {
  /** Inserts, changes and deletes until it is told to end, and then tells its longest wait. */
  const application = (file: string, journal: string): ChildProcess =>
    spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import Database from 'better-sqlite3'
        const db = new Database(${JSON.stringify(file)}, { timeout: 20000 })
        db.pragma('journal_mode = ${journal}'); db.pragma('synchronous = OFF')
        const insert = db.prepare("INSERT INTO by_id (v) VALUES (?)"), change = db.prepare('UPDATE by_key SET n = -n WHERE k = ?'), drop = db.prepare('DELETE FROM keyless WHERE rowid = ?')
        let [waits, i, isOpen] = [[], 0, true]
        process.on('SIGTERM', () => { isOpen = false })
        process.stdout.write('ready\\n')
        const tick = () => {
          if (!isOpen) return process.stdout.write(JSON.stringify({ writes: i, worstMs: Math.max(...waits) }) + '\\n')
          const started = performance.now()
          db.transaction(() => { insert.run('later ' + i); change.run('key ' + i); drop.run(i) })()
          waits.push(performance.now() - started); i++
          setTimeout(tick, 1)
        }
        tick()`,
      ],
      { cwd: process.cwd(), stdio: ['ignore', 'pipe', 'inherit'] },
    )

  it.each(['delete', 'wal'])(
    'in journal mode %s neither fails nor waits long, and verification names what it wrote',
    async (journal) => {
      const file = join(folder, `busy-${journal}.db`)
      copyFileSync(path, file)
      const writer = new BetterSqlite(file)
      writer.pragma(`journal_mode = ${journal}`)
      const more = writer.prepare('INSERT INTO by_id (v, note) VALUES (?, ?)')
      writer.transaction(() => {
        for (let i = 0; i < 30_000; i++) more.run(`more ${i}`, 'y'.repeat(100))
      })()
      writer.close()
      const child = application(file, journal)
      let output = ''
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
      await until(() => output.includes('ready'), { what: 'The start of the application' })
      const plan = await planned(file)
      const startedAt = performance.now()
      const report = await copyMove(plan, { target })
      const tookMs = performance.now() - startedAt
      child.kill('SIGTERM')
      await once(child, 'close')
      const { writes, worstMs } = JSON.parse(output.trim().split('\n').at(-1)!) as { writes: number; worstMs: number }
      expect(writes).toBeGreaterThan(20)
      console.info(`journal mode ${journal}: ${writes} transactions meanwhile, the longest took ${Math.round(worstMs)} ms`)
      // A copy that held the file would hold it all the time. Where the machine is slow, so is the copy.
      expect(worstMs).toBeLessThan(Math.max(1000, tookMs / 2))
      expect(report.objects.failed).toEqual([])
      const verification = await verifyMove(plan, { target })
      const reader = new BetterSqlite(file, { readonly: true })
      for (const { table, rows: seen, equal, mapped, rejected, missing, differing } of verification.tables) {
        const count = reader.prepare(`SELECT count(*) FROM "${table}"`).pluck().get()
        expect({ table, seen }).toEqual({ table, seen: count })
        expect(equal + mapped + rejected + missing + differing).toBe(seen)
      }
      expect(verification.ok).toBe(false)
      reader.close()
      const again = await planned(file)
      await expectWhole(again, await copyMove(again, { target, onExisting: 'replace' }))
    },
  )
})

describe('bad input', () => {
  it('of another file in the same place is told from the planned one', async () => {
    const file = join(folder, 'replaced.db')
    copyFileSync(path, file)
    const plan = await planned(file)
    copyFileSync(path, `${file}.new`)
    rmSync(file)
    copyFileSync(`${file}.new`, file)
    await expect(copyMove({ ...plan, fileId: `${plan.fileId}0` }, { target })).rejects.toMatchObject({
      code: 'TM_SQLITE_CHANGED',
    })
    expect(await tablesOf(schema)).toEqual([])
  })

  it('of a file damaged after the plan stops the copy by name, and what came so far can be thrown away', async () => {
    const file = join(folder, 'damaged.db')
    copyFileSync(path, file)
    const plan = await planned(file)
    truncateSync(file, 4096 * 40)
    await expect(copyMove(plan, { target, ...small })).rejects.toMatchObject({ code: 'TM_SQLITE_CORRUPT' })
    copyFileSync(path, file)
    const whole = await planned(file)
    await expectWhole(whole, await copyMove(whole, { target, onExisting: 'replace' }))
  })

  it('of a file that stays locked says so in time', async () => {
    const file = join(folder, 'locked.db')
    copyFileSync(path, file)
    const plan = await planned(file)
    const writer = new BetterSqlite(file)
    writer.exec('BEGIN EXCLUSIVE')
    try {
      await expect(copyMove(plan, { target, busyTimeoutMs: 100 })).rejects.toMatchObject({ code: 'TM_SQLITE_LOCKED' })
      await expect(planMove({ path: file, schema, busyTimeoutMs: 100 })).rejects.toMatchObject({ code: 'TM_SQLITE_LOCKED' })
    } finally {
      writer.close()
    }
    expect(await tablesOf(schema)).toEqual([])
  })

  it('of a server that is not there', async () => {
    const url = 'postgres://nobody@127.0.0.1:9/none'
    await expect(copyMove(await planned(), { target: { url } })).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
  })
})

describe('a role without rights', () => {
  const role = `mover_${process.pid}`
  const asRole = (): CopyOptions['target'] => {
    const url = new URL(database.url)
    url.username = role
    url.password = 'secret'
    return { url: url.href }
  }
  beforeAll(() => client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`))
  afterAll(() => client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))

  it('is told which, and nothing is written', async () => {
    const error = await copyMove(await planned(), { target: asRole() }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'TM_POSTGRES_PERMISSION' })
    expect(String((error as Error).message)).not.toContain('secret')
    expect(await tablesOf(schema)).toEqual([])
  })

  it('moves into a schema of its own when it may use the platform tables', async () => {
    await client.query(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`)
    await client.query(`GRANT USAGE ON SCHEMA tidemark TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA tidemark TO ${role}`)
    for (const table of ['move_runs', 'move_progress', 'move_rejects', 'move_id_map']) {
      await client.query(`CREATE POLICY ${role} ON tidemark.${table} TO ${role} USING (true) WITH CHECK (true)`)
    }
    const plan = await planned()
    const report = await copyMove(plan, { target: asRole() })
    expect(report.ok).toBe(true)
    await expectWhole(plan, report)
  })
})
