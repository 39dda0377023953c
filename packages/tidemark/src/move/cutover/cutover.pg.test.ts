import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { conduct } from '../live/conductor.js'
import { takeOver } from '../live/record.js'
import { hasty, type LiveMove, useLiveMoves } from '../live/testing/live-moves.js'
import { sqliteWriter } from '../live/testing/writer.js'
import type { MoveEvent } from '../move.js'
import { planMove } from '../plan/plan.js'
import { rollback } from '../rollback/rollback.js'
import { moveRejects } from '../status.js'
import { cutover } from './cutover.js'

const moves = useLiveMoves()

const column = async (sql: string, values: readonly unknown[] = []): Promise<readonly unknown[]> =>
  (await moves.client.query<Record<string, unknown>>(sql, [...values])).rows.map((row) => Object.values(row)[0])

/** What stands on the tables of a schema. */
const catalogue = (schema: string): Promise<readonly unknown[]> =>
  column(
    `SELECT conrelid::regclass || ' ' || conname || ' ' || contype::text || CASE WHEN convalidated THEN '' ELSE ' not valid' END AS line
       FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype <> 'n'
     UNION ALL SELECT tgrelid::regclass || ' trigger ' || tgname || ' ' || tgenabled::text FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid
      WHERE c.relnamespace = $1::regnamespace AND NOT tgisinternal
     UNION ALL SELECT attrelid::regclass || ' column ' || attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
      WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND attname LIKE '\\_tide%' AND NOT attisdropped ORDER BY 1`,
    [schema],
  )

const write = (move: LiveMove, id = 77_777): unknown =>
  move.app.prepare("INSERT OR REPLACE INTO posts VALUES (?, 1, 'still', 'here')").run(id)

/** The application goes on as if nothing had been, and so does following. */
const expectUndone = async (
  move: LiveMove,
  before: { readonly slots: number; readonly catalogue: readonly unknown[] },
): Promise<void> => {
  write(move)
  expect(await move.status()).toMatchObject({ state: 'following', writer: 'sqlite', holder: null })
  expect((await move.status()).waiting.filter(({ state }) => state !== 'waiting')).toEqual([])
  expect(await moves.slots()).toBe(before.slots)
  expect(await catalogue(move.schema)).toEqual(before.catalogue)
  await conduct({ ...move.options, until: 'ready', checkShare: 1 })
  expect(await move.differences()).toEqual([])
}

const stateBefore = async (move: LiveMove) => ({ slots: await moves.slots(), catalogue: await catalogue(move.schema) })

describe('MOVE-4: a cutover', () => {
  it('R88, S20: hands the writes over with a writer at work, and loses none that was accepted', {
    timeout: 120_000,
  }, async () => {
    const move = await moves.makeReady()
    move.conduct()
    const writer = sqliteWriter(move.path, 400, 10_001)
    await until(() => writer.accepted > 600, { timeoutMs: 30_000 })
    const events: MoveEvent[] = []
    const report = await cutover({ ...move.options, maxPauseMs: 20_000, onEvent: (event) => events.push(event) })
    const written = await writer.stop()
    expect(report).toMatchObject({ ok: true, resumed: false, unvalidated: [] })
    expect(written.said.every((said) => said.includes('tidemark'))).toBe(true)
    const { rows } = await moves.client.query<{ id: number }>(
      `SELECT id::integer AS id FROM ${move.schema}.posts WHERE id > 10000 ORDER BY id`,
    )
    expect(rows.map(({ id }) => id)).toEqual(written.ids)
    expect(await move.differences()).toEqual([])
    expect(await move.status()).toMatchObject({ state: 'mirroring', writer: 'postgres', cutOverAt: expect.any(String) as string })
    expect(events).toContainEqual({ type: 'state', from: 'following', to: 'mirroring' })
    expect(() => move.app.exec('DELETE FROM notes')).toThrow(/tidemark/)
  })

  it('S17: leaves tables with every constraint, the counters of ids, and none of what the move needed', async () => {
    const move = await moves.makeReady({
      prepare: (app) => app.exec("INSERT INTO authors (id, email) VALUES (900, 'gone'); DELETE FROM authors WHERE id = 900"),
    })
    expect(await catalogue(move.schema)).toEqual([
      ...['authors', 'notes', 'posts', 'tags'].flatMap((table) => [
        ...(table === 'notes' ? [`${move.schema}.notes column _tidemark_rowid`] : [`${move.schema}.${table} ${table}_pkey p`]),
        `${move.schema}.${table} trigger _tidemark_refuse_write A`,
      ]),
    ])
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    expect(await catalogue(move.schema)).toEqual([
      `${move.schema}.authors authors_email_key u`,
      `${move.schema}.authors authors_pkey p`,
      `${move.schema}.posts posts_author_fkey f`,
      `${move.schema}.posts posts_pkey p`,
      `${move.schema}.tags tags_pkey p`,
      `${move.schema}.tags tags_post_fkey f`,
    ])
    expect(await column(`INSERT INTO ${move.schema}.authors (email) VALUES ('new') RETURNING id::integer`)).toEqual([901])
    await expect(moves.client.query(`INSERT INTO ${move.schema}.authors (email) VALUES ('new')`)).rejects.toMatchObject({
      code: '23505',
    })
    await expect(cutover(move.options)).rejects.toMatchObject({
      code: 'TM_MOVE_STATE',
      message: expect.stringContaining('is mirroring') as string,
    })
  })

  it('runs the command that switches the application, and reports its failure without undoing anything', async () => {
    const move = await moves.makeReady()
    const path = join(moves.folder, 'switched')
    const script = `require('fs').writeFileSync(${JSON.stringify(path)}, process.env.DATABASE_PROVIDER); console.error('no proxy'); process.exit(9)`
    const report = await cutover({ ...move.options, onSwitch: [process.execPath, '-e', script] })
    expect(report).toMatchObject({ ok: false, command: { exitCode: 9, failure: 'no proxy' } })
    expect((await move.status()).state).toBe('mirroring')
  })

  it('keeps foreign keys for new rows where rows of the file break them, and says so before', async () => {
    const move = await moves.makeReady({
      prepare: (app) =>
        app.exec("PRAGMA foreign_keys = OFF; INSERT INTO posts VALUES (5000, 9999, 'orphan', ''); PRAGMA foreign_keys = ON"),
    })
    const events: MoveEvent[] = []
    const report = await cutover({ ...move.options, onEvent: (event) => events.push(event) })
    expect(report).toMatchObject({ ok: true, unvalidated: ['posts_author_fkey'] })
    expect(events).toContainEqual({
      type: 'notice',
      message: expect.stringMatching(/posts_author_fkey .*1 row\(s\) without a parent/) as string,
    })
    await expect(moves.client.query(`INSERT INTO ${move.schema}.posts VALUES (5001, 9999, '', '')`)).rejects.toMatchObject({
      code: '23503',
    })
  })
})

describe('MOVE-4: the gate of a cutover', () => {
  const refused = async (move: LiveMove, reason: RegExp): Promise<void> => {
    const before = await stateBefore(move)
    const epoch = (await move.status()).epoch
    await expect(cutover(move.options)).rejects.toMatchObject({
      code: 'TM_MOVE_GATE',
      message: expect.stringMatching(reason) as string,
    })
    expect([await stateBefore(move), (await move.status()).state]).toEqual([before, 'following'])
    // What is seen beforehand does not even take the move from whoever follows.
    expect((await move.status()).epoch).toBe(epoch)
    write(move)
  }

  it('refuses rows that were left behind against the choices', async () => {
    const move = await moves.make({ prepare: (app) => app.exec("INSERT INTO posts VALUES (5000, 1, 'a' || char(0) || 'b', '')") })
    await conduct({ ...move.options, plan: move.plan, until: 'ready', checkShare: 1 })
    await refused(move, /1 row could not be carried/)
  })

  it('refuses rows that a check of Postgres set aside while it was followed, names why, and takes them once they are put right', async () => {
    const move = await moves.make({
      prepare: (app) => app.exec('CREATE TABLE ages (id INTEGER PRIMARY KEY, age INTEGER CHECK (age < 100))'),
    })
    await move.ready()
    // What SQLite lets through when it is told to.
    move.app.exec(
      'PRAGMA ignore_check_constraints = ON; INSERT INTO ages VALUES (1, 200), (2, 20); UPDATE ages SET age = 300 WHERE id = 1',
    )
    const { stop, done } = move.conduct()
    await until(async () => (await move.status()).rejects.rows === 1)
    move.app.exec('INSERT INTO ages VALUES (3, 30)')
    const present = `SELECT id FROM ${move.schema}.ages ORDER BY id`
    await until(async () => (await moves.client.query(present)).rowCount === 2)
    stop.abort()
    await done
    const [reject] = await moveRejects(move.options)
    expect(reject).toMatchObject({
      table: 'ages',
      key: 'id=1',
      outcome: 'rowRejected',
      reason: expect.stringContaining('ages_check'),
    })
    await refused(move, /1 row could not be carried/)
    move.app.exec('UPDATE ages SET age = 2 WHERE id = 1')
    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect((await move.status()).rejects.rows).toBe(0)
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    expect((await moves.client.query(present)).rowCount).toBe(3)
  })

  it('lets keys through that are too long for an index of Postgres, kept over hashes', async () => {
    const long = randomBytes(3000).toString('hex')
    const prepare = (app: BetterSqlite.Database) => {
      app.exec('CREATE TABLE pages (url TEXT PRIMARY KEY, body TEXT UNIQUE); CREATE INDEX bodies ON pages (body)')
      app.prepare('INSERT INTO pages VALUES (?, ?)').run(`a${long}`, `b${long}`)
    }
    const move = await moves.make({ prepare })
    await move.ready()
    move.app.prepare('INSERT INTO pages VALUES (?, ?)').run(`c${long}`, `d${long}`)
    move.app.prepare('UPDATE pages SET body = ? WHERE url = ?').run(`e${long}`, `a${long}`)
    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    const insert = (url: string, body: string) =>
      moves.client.query(`INSERT INTO ${move.schema}.pages VALUES ($1, $2)`, [url, body])
    await expect(insert(`a${long}`, 'other')).rejects.toMatchObject({ code: '23505' })
    await expect(insert('other', `e${long}`)).rejects.toMatchObject({ code: '23505' })
    await insert(`f${long}`, `g${long}`)
    await moves.client.query(`UPDATE ${move.schema}.pages SET body = NULL WHERE url = $1`, [`c${long}`])
    expect(await rollback(move.options)).toMatchObject({ ok: true })
    const rows = move.app.prepare('SELECT substr(url, 1, 1), substr(body, 1, 1) FROM pages ORDER BY 1').raw().all()
    expect(rows).toEqual([
      ['a', 'e'],
      ['c', null],
      ['f', 'g'],
    ])
  })

  it('refuses rows that differ, until they do not', async () => {
    const move = await moves.makeReady()
    await moves.client.query(
      `BEGIN; SET LOCAL tidemark.origin = 'move'; UPDATE ${move.schema}.posts SET title = 'by hand' WHERE id = 7; COMMIT`,
    )
    await moves.client.query(
      'UPDATE tidemark.move_checks AS c SET done = false, last_key = NULL FROM tidemark.move_runs AS r WHERE r.id = c.run_id AND source_path = $1',
      [move.path],
    )
    const { stop, done } = move.conduct()
    await until(async () => {
      const { checks } = await move.status()
      return checks.done && checks.differences === 1
    })
    stop.abort()
    await done
    await expect(cutover({ ...move.options, clock: hasty })).rejects.toMatchObject({
      code: 'TM_MOVE_GATE',
      message: expect.stringContaining('1 row differs between the two sides (first: id=7 in posts)') as string,
    })
    move.app.exec('UPDATE posts SET title = title WHERE id = 7')
    expect(await cutover(move.options)).toMatchObject({ ok: true })
  })

  it('refuses while the comparison is not complete', async () => {
    const move = await moves.makeReady()
    await moves.client.query(
      "UPDATE tidemark.move_checks AS c SET done = false FROM tidemark.move_runs AS r WHERE r.id = c.run_id AND source_path = $1 AND table_name = 'tags'",
      [move.path],
    )
    await refused(move, /the comparison is not complete: tags/)
  })

  it('refuses a file that has grown a table since', async () => {
    const move = await moves.makeReady()
    move.app.exec('CREATE TABLE extra (id INTEGER PRIMARY KEY)')
    await refused(move, /tables were added since the move began: extra/)
  })

  it('refuses while another process is in the middle of one', async () => {
    const move = await moves.makeReady()
    const { rows } = await moves.client.query<{ id: string }>('SELECT id FROM tidemark.move_runs WHERE source_path = $1', [
      move.path,
    ])
    await takeOver(moves.client, rows[0]!.id)
    await moves.client.query("UPDATE tidemark.move_runs SET state = 'cuttingOver', holder_pid = $2 WHERE id = $1", [
      rows[0]!.id,
      process.ppid,
    ])
    await expect(cutover(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_RUNNING' })
  })
})

describe('MOVE-4: a cutover that does not fit into its pause is undone', () => {
  it('where a reader of Postgres holds its tables, naming it', async () => {
    const move = await moves.makeReady()
    const before = await stateBefore(move)
    const reader = new pg.Client({ connectionString: moves.url, application_name: 'a long report' })
    await reader.connect()
    // Only once the rehearsal is over: it would wait for the reader as well.
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'step' && event.step === 'prepare the mirror' && event.state === 'finished')
        reading = reader.query(`BEGIN; SELECT count(*) FROM ${move.schema}.posts`)
    }
    let reading: Promise<unknown> | undefined
    // The reader holds them for as long as it is let.
    await expect(cutover({ ...move.options, maxPauseMs: 500, onEvent })).rejects.toMatchObject({
      code: 'TM_MOVE_PAUSE',
      message: expect.stringMatching(/waiting for locks in Postgres held by pid \d+ a long report/) as string,
    })
    await reading
    write(move)
    await reader.query('ROLLBACK')
    await reader.end()
    await expectUndone(move, before)
  })

  it('S20: where a long read keeps a file in rollback-journal mode from committing', async () => {
    const move = await moves.makeReady({ journal: 'DELETE' })
    const before = await stateBefore(move)
    const reader = new BetterSqlite(move.path, { readonly: true })
    let rows: IterableIterator<unknown> | undefined
    const onEvent = (event: MoveEvent) => {
      if (event.type !== 'step' || event.step !== 'catch up again' || event.state !== 'finished') return
      rows = reader.prepare('SELECT * FROM posts').iterate()
      rows.next()
    }
    await expect(cutover({ ...move.options, maxPauseMs: 400, onEvent })).rejects.toMatchObject({
      code: 'TM_MOVE_PAUSE',
      message: expect.stringContaining('waiting for a lock on the file') as string,
    })
    rows!.return?.()
    reader.close()
    await until(async () => {
      if ((await move.status()).state === 'following') return true
      await conduct({ ...move.options, until: 'ready', checkShare: 1 })
      return false
    })
    await expectUndone(move, before)
  })

  it('where there is no time at all', async () => {
    const move = await moves.makeReady()
    const before = await stateBefore(move)
    await expect(cutover({ ...move.options, maxPauseMs: 1 })).rejects.toMatchObject({ code: 'TM_MOVE_PAUSE' })
    await expectUndone(move, before)
  })

  it('where the caller is told to stop', async () => {
    const move = await moves.makeReady()
    const before = await stateBefore(move)
    const stop = new AbortController()
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'step' && event.step === 'drain' && event.state === 'finished') stop.abort()
    }
    await expect(cutover({ ...move.options, signal: stop.signal, onEvent })).rejects.toThrow(/abort/)
    await expectUndone(move, before)
  })

  it('where the session with Postgres is lost before the switch is committed', async () => {
    const move = await moves.makeReady()
    const before = await stateBefore(move)
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'step' && event.step === 'switch' && event.state === 'started')
        void moves.client.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidemark/move' AND datname = current_database()",
        )
    }
    await cutover({ ...move.options, onEvent }).catch(() => undefined)
    // Which of the two it was is a matter of moments; that it is one of them is not.
    const { state } = await move.status()
    if (state === 'mirroring') expect(() => write(move)).toThrow(/tidemark/)
    else {
      await conduct({ ...move.options, until: 'ready', checkShare: 1 })
      await expectUndone(move, before)
    }
  })
})

describe('MOVE-4: a cutover into tables that exist', () => {
  const existing = async (sql: string, file: string): Promise<LiveMove> => {
    const move = await moves.make({ prepare: (app) => app.exec(file) })
    await moves.client.query(`CREATE SCHEMA ${move.schema}; SET search_path TO ${move.schema}; ${sql}; RESET search_path`)
    const mapPath = join(moves.folder, `${move.schema}.map.json`)
    writeFileSync(
      mapPath,
      JSON.stringify({
        version: 1,
        ignoreTables: ['authors', 'posts', 'tags', 'notes'],
        tables: { users: { to: 'users' }, orders: { to: 'orders' } },
      }),
    )
    const plan = await planMove({ ...move.options, schema: move.schema, into: 'existing', mapPath, live: true })
    await conduct({ ...move.options, plan, until: 'ready', checkShare: 1 })
    return move
  }
  const target = `CREATE TABLE users (id bigint PRIMARY KEY, name text UNIQUE); CREATE TABLE orders (id bigserial PRIMARY KEY, who bigint REFERENCES users (id));
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER stamped BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp()`
  const source = `CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE orders (id INTEGER PRIMARY KEY, who INTEGER);
    INSERT INTO users VALUES (1, 'ann'), (2, 'bob'); INSERT INTO orders VALUES (1, 1), (41, 2)`

  it('gives them back every constraint and trigger that they had', async () => {
    const move = await existing(target, source)
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    expect(await catalogue(move.schema)).toEqual([
      `${move.schema}.orders orders_pkey p`,
      `${move.schema}.orders orders_who_fkey f`,
      `${move.schema}.orders trigger stamped O`,
      `${move.schema}.users users_name_key u`,
      `${move.schema}.users users_pkey p`,
    ])
    expect(await column(`INSERT INTO ${move.schema}.orders (who) VALUES (1) RETURNING id::integer`)).toEqual([42])
  })

  it('refuses rows that a unique constraint forbids, and those without a parent', async () => {
    const move = await existing(target, source)
    move.app.exec("INSERT INTO users VALUES (3, 'ann')")
    await expect(cutover(move.options)).rejects.toMatchObject({
      code: 'TM_MOVE_GATE',
      message: expect.stringMatching(/users_name_key/) as string,
    })
    move.app.exec('DELETE FROM users WHERE id = 3; INSERT INTO orders VALUES (50, 77)')
    await expect(cutover(move.options)).rejects.toMatchObject({
      code: 'TM_MOVE_GATE',
      message: expect.stringMatching(/orders_who_fkey.*1 row/) as string,
    })
    move.app.exec('DELETE FROM orders WHERE id = 50')
    expect(await cutover(move.options)).toMatchObject({ ok: true })
  })
})
