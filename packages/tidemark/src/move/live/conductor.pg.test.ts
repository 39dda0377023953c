import { beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { cutover } from '../cutover/cutover.js'
import type { MoveEvent } from '../move.js'
import { planMove } from '../plan/plan.js'
import { verifyMove } from '../verify/verify.js'
import { conduct } from './conductor.js'
import { setReads } from './reads.js'
import { requireLiveRun, takeOver } from './record.js'
import { type LiveMove, useLiveMoves } from './testing/live-moves.js'

const moves = useLiveMoves()
const { client } = moves
let move: LiveMove

beforeEach(async () => {
  move = await moves.make()
})

const count = async (table: string) =>
  Number((await client.query<{ count: string }>(`SELECT count(*) FROM ${move.schema}.${table}`)).rows[0]!.count)

const loseSessions =
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tidemark/%' AND datname = current_database()"

describe('conducting a move', () => {
  it('MOVE-1: copies, follows and compares, until a cutover would be let through', async () => {
    const events: MoveEvent[] = []
    const report = await conduct({
      ...move.options,
      plan: move.plan,
      until: 'ready',
      checkShare: 1,
      onEvent: (event) => events.push(event),
    })
    expect(report).toMatchObject({ outcome: 'ready', state: 'following', copy: { ok: true } })
    expect(await move.status()).toMatchObject({
      state: 'following',
      writer: 'sqlite',
      checks: { done: true, differences: 0 },
      holder: null,
      finishedAt: null,
      log: { applied: '0', head: '0', behind: 0 },
      file: { fence: 'open', note: null },
    })
    move.app.exec("INSERT INTO notes VALUES ('nobody follows', 1), ('right now', 2)")
    expect((await move.status()).log).toMatchObject({ head: '2', behind: 2 })
    move.app.exec('DELETE FROM notes WHERE at IN (1, 2)')
    expect((await verifyMove(move.plan, move.options)).ok).toBe(true)
    expect(events.filter(({ type }) => type === 'state')).toEqual([{ type: 'state', from: 'copied', to: 'following' }])
  })

  it('MOVE-1: copies rows once that are written anew under their key while a table is walked by its rowids', async () => {
    const keys = await moves.make({
      prepare: (app) =>
        app.exec(`CREATE TABLE kv (k TEXT PRIMARY KEY, v TEXT);
          WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO kv SELECT 'key ' || i, 'first' FROM n`),
    })
    let isWritten = false
    const onEvent = (event: MoveEvent) => {
      if (isWritten || event.type !== 'progress' || event.phase !== 'copy' || event.table !== 'kv') return
      isWritten = true
      keys.app.exec("REPLACE INTO kv SELECT k, 'again' FROM kv WHERE rowid <= 20")
    }
    const options = { ...keys.options, plan: keys.plan, workers: 0, transactionBytes: 4000, checkShare: 1 }
    expect(await conduct({ ...options, until: 'ready', onEvent })).toMatchObject({ outcome: 'ready', copy: { ok: true } })
    expect(isWritten).toBe(true)
    expect(await keys.differences()).toEqual([])
  })

  it('goes on where it was stopped, with everything that was written meanwhile', async () => {
    await move.ready()
    move.app.exec("INSERT INTO authors (id, email) VALUES (500, 'late@example.org'); DELETE FROM notes")
    const { stop, done } = move.conduct()
    await until(async () => (await count('authors')) === 21 && (await count('notes')) === 0)
    stop.abort()
    expect(await done).toMatchObject({ outcome: 'stopped', state: 'following', copy: null })
  })

  it('refuses writes of any other client to the moved tables, by a state of its own', async () => {
    await move.ready()
    for (const sql of [
      `DELETE FROM ${move.schema}.posts`,
      `TRUNCATE ${move.schema}.notes`,
      `UPDATE ${move.schema}.authors SET posts = 0 WHERE false`,
    ]) {
      await expect(client.query(sql)).rejects.toMatchObject({ code: 'TM001' })
    }
    await client.query("SET tidemark.origin = 'move'; SET session_replication_role = replica")
    await client.query('RESET ALL')
    await client.query('SET session_replication_role = replica')
    await expect(client.query(`DELETE FROM ${move.schema}.posts`)).rejects.toMatchObject({ code: 'TM001' })
    await client.query('RESET ALL')
  })

  it('MOVE-2: stands aside for a process that takes the move over, and goes on when that one lets go', async () => {
    await move.ready()
    move.conduct()
    const { id } = await requireLiveRun(client, { path: move.path })
    await until(async () => (await move.status()).holder !== null)
    const held = await takeOver(client, id)
    const fresh = setInterval(
      () =>
        void client.query('UPDATE tidemark.move_runs SET holder_pid = $2, holder_seen_at = clock_timestamp() WHERE id = $1', [
          id,
          process.ppid,
        ]),
      200,
    )
    move.app.exec("INSERT INTO notes VALUES ('while another holds it', 0)")
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(await count('notes')).toBe(20)
    expect((await move.status()).epoch).toBe(String(held.epoch))
    clearInterval(fresh)
    await client.query('UPDATE tidemark.move_runs SET holder_pid = NULL, holder_seen_at = NULL WHERE id = $1', [id])
    await until(async () => (await count('notes')) === 21)
    expect(BigInt((await move.status()).epoch)).toBeGreaterThan(held.epoch)
  })

  it('waits out a Postgres that throws its sessions out', async () => {
    const events: MoveEvent[] = []
    await move.ready()
    move.conduct({ onEvent: (event) => events.push(event) })
    await until(async () => (await move.status()).holder !== null)
    await client.query(loseSessions)
    move.app.exec("INSERT INTO notes VALUES ('after the storm', 0)")
    await until(async () => (await count('notes')) === 21)
  })

  it('MOVE-5: mirrors through a loss of its connections, and tells how far behind it is', async () => {
    const events: MoveEvent[] = []
    await move.ready()
    await cutover(move.options)
    move.conduct({ onEvent: (event) => events.push(event) })
    const write = async (text: string) => {
      await client.query(`INSERT INTO ${move.schema}.notes VALUES ($1, 1)`, [text])
      const isThere = move.app.prepare('SELECT 1 FROM notes WHERE text = ?')
      await until(() => isThere.get(text) !== undefined, { timeoutMs: 30_000 })
    }
    await write('before the storm')
    await client.query(loseSessions)
    await write('after the storm')
    await until(() => events.some((event) => event.type === 'lag' && event.phase === 'mirror'))
  })

  it('moves reads while it follows, and at no other time', async () => {
    await move.ready()
    expect(await setReads({ ...move.options, percent: 25 })).toMatchObject({ percent: 25, before: 0 })
    expect((await move.status()).readsPercent).toBe(25)
    await expect(setReads({ ...move.options, percent: 101 })).rejects.toMatchObject({ code: 'TM_MOVE_PERCENT' })
    await client.query("UPDATE tidemark.move_runs SET state = 'mirroring' WHERE source_path = $1", [move.path])
    await expect(setReads({ ...move.options, percent: 50 })).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
  })

  it('follows a copy that was made without capture, after comparing all of it', async () => {
    const { copyMove } = await import('../copy/copy.js')
    const once = await planMove({ path: move.path, schema: move.schema })
    await copyMove(once, move.options)
    move.app.exec("UPDATE posts SET title = 'changed unseen' WHERE id < 50; DELETE FROM tags WHERE post > 150")
    const report = await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect(report).toMatchObject({ outcome: 'ready', state: 'following', copy: null })
    expect((await verifyMove(move.plan, move.options)).ok).toBe(true)
  })

  it('knows of no move where there is none', async () => {
    await expect(conduct(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_NO_PLAN' })
  })
})
