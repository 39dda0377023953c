import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../testing/database.js'
import { until } from '../../time/until.js'
import type { MoveEvent, MovePlan } from '../move.js'
import { planMove } from '../plan/plan.js'
import { moveStatus } from '../status.js'
import { verifyMove } from '../verify/verify.js'
import { type ConductOptions, type ConductReport, conduct } from './conductor.js'
import { setReads } from './reads.js'
import { requireLiveRun, takeOver } from './record.js'
import { makeLiveFile } from './testing/live-file.js'

const folder = mkdtempSync(join(tmpdir(), 'tidemark-conductor-'))
let database: TestDatabase
let client: pg.Client
let target: { url: string }
let schemas = 0
let schema = ''
let app: Database
let plan: MovePlan
let running: { readonly stop: AbortController; readonly done: Promise<ConductReport> }[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  target = { url: database.url }
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  schema = `m${++schemas}`
  app = makeLiveFile(folder, schema)
  plan = await planMove({ path: app.name, schema, live: true })
})
afterEach(async () => {
  for (const { stop, done } of running) {
    stop.abort()
    await done.catch(() => undefined)
  }
  running = []
  app.close()
})

/** A conductor at work, stopped at the end of the test. */
const started = (options: Partial<ConductOptions> = {}) => {
  const stop = new AbortController()
  const done = conduct({ path: app.name, target, signal: stop.signal, checkShare: 1, ...options })
  done.catch(() => undefined)
  running.push({ stop, done })
  return { stop, done }
}

const status = async () => (await moveStatus({ target, path: app.name }))[0]!
const count = async (table: string) =>
  Number((await client.query<{ count: string }>(`SELECT count(*) FROM ${schema}.${table}`)).rows[0]!.count)

describe('conducting a move', () => {
  it('MOVE-1: copies, follows and compares, until a cutover would be let through', async () => {
    const events: MoveEvent[] = []
    const report = await conduct({
      path: app.name,
      target,
      plan,
      until: 'ready',
      checkShare: 1,
      onEvent: (event) => events.push(event),
    })
    expect(report).toMatchObject({ outcome: 'ready', state: 'following', copy: { ok: true } })
    expect(await status()).toMatchObject({
      state: 'following',
      writer: 'sqlite',
      checks: { done: true, differences: 0 },
      holder: null,
      finishedAt: null,
      log: { applied: '0', head: '0', behind: 0 },
      file: { fence: 'open', note: null },
    })
    app.exec("INSERT INTO notes VALUES ('nobody follows', 1), ('right now', 2)")
    expect((await status()).log).toMatchObject({ head: '2', behind: 2 })
    app.exec('DELETE FROM notes WHERE at IN (1, 2)')
    expect((await verifyMove(plan, { target })).ok).toBe(true)
    expect(events.filter(({ type }) => type === 'state')).toEqual([{ type: 'state', from: 'copied', to: 'following' }])
  })

  it('goes on where it was stopped, with everything that was written meanwhile', async () => {
    await conduct({ path: app.name, target, plan, until: 'ready', checkShare: 1 })
    app.exec("INSERT INTO authors (id, email) VALUES (500, 'late@example.org'); DELETE FROM notes")
    const { stop, done } = started()
    await until(async () => (await count('authors')) === 21 && (await count('notes')) === 0)
    stop.abort()
    expect(await done).toMatchObject({ outcome: 'stopped', state: 'following', copy: null })
  })

  it('refuses writes of any other client to the moved tables, by a state of its own', async () => {
    await conduct({ path: app.name, target, plan, until: 'ready', checkShare: 1 })
    for (const sql of [
      `DELETE FROM ${schema}.posts`,
      `TRUNCATE ${schema}.notes`,
      `UPDATE ${schema}.authors SET posts = 0 WHERE false`,
    ]) {
      await expect(client.query(sql)).rejects.toMatchObject({ code: 'TM001' })
    }
    await client.query("SET tidemark.origin = 'move'; SET session_replication_role = replica")
    await client.query('RESET ALL')
    await client.query('SET session_replication_role = replica')
    await expect(client.query(`DELETE FROM ${schema}.posts`)).rejects.toMatchObject({ code: 'TM001' })
    await client.query('RESET ALL')
  })

  it('MOVE-2: stands aside for a process that takes the move over, and goes on when that one lets go', async () => {
    await conduct({ path: app.name, target, plan, until: 'ready', checkShare: 1 })
    started()
    const { id } = await requireLiveRun(client, { path: app.name })
    await until(async () => (await status()).holder !== null)
    const held = await takeOver(client, id)
    const fresh = setInterval(
      () =>
        void client.query('UPDATE tidemark.move_runs SET holder_pid = $2, holder_seen_at = clock_timestamp() WHERE id = $1', [
          id,
          process.ppid,
        ]),
      200,
    )
    app.exec("INSERT INTO notes VALUES ('while another holds it', 0)")
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(await count('notes')).toBe(20)
    expect((await status()).epoch).toBe(String(held.epoch))
    clearInterval(fresh)
    await client.query('UPDATE tidemark.move_runs SET holder_pid = NULL, holder_seen_at = NULL WHERE id = $1', [id])
    await until(async () => (await count('notes')) === 21)
    expect(BigInt((await status()).epoch)).toBeGreaterThan(held.epoch)
  })

  it('waits out a Postgres that throws its sessions out', async () => {
    const events: MoveEvent[] = []
    await conduct({ path: app.name, target, plan, until: 'ready', checkShare: 1 })
    started({ onEvent: (event) => events.push(event) })
    await until(async () => (await status()).holder !== null)
    await client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tidemark/%' AND datname = current_database()",
    )
    app.exec("INSERT INTO notes VALUES ('after the storm', 0)")
    await until(async () => (await count('notes')) === 21)
  })

  it('moves reads while it follows, and at no other time', async () => {
    await conduct({ path: app.name, target, plan, until: 'ready', checkShare: 1 })
    expect(await setReads({ path: app.name, target, percent: 25 })).toMatchObject({ percent: 25, before: 0 })
    expect((await status()).readsPercent).toBe(25)
    await expect(setReads({ path: app.name, target, percent: 101 })).rejects.toMatchObject({ code: 'TM_MOVE_PERCENT' })
    await client.query("UPDATE tidemark.move_runs SET state = 'mirroring' WHERE source_path = $1", [app.name])
    await expect(setReads({ path: app.name, target, percent: 50 })).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
  })

  it('follows a copy that was made without capture, after comparing all of it', async () => {
    const { copyMove } = await import('../copy/copy.js')
    const once = await planMove({ path: app.name, schema })
    await copyMove(once, { target })
    app.exec("UPDATE posts SET title = 'changed unseen' WHERE id < 50; DELETE FROM tags WHERE post > 150")
    const report = await conduct({ path: app.name, target, until: 'ready', checkShare: 1 })
    expect(report).toMatchObject({ outcome: 'ready', state: 'following', copy: null })
    expect((await verifyMove(plan, { target })).ok).toBe(true)
  })

  it('knows of no move where there is none', async () => {
    await expect(conduct({ path: app.name, target })).rejects.toMatchObject({ code: 'TM_MOVE_NO_PLAN' })
  })
})
