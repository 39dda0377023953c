import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { requireLiveRun } from '../live/record.js'
import type { MoveEvent } from '../move.js'
import { captureRun, type FollowedFile } from './testing/followed-file.js'
import { expectSame, ticksToHead, useFollowedFiles } from './testing/use-followed-files.js'

const files = useFollowedFiles()
const { followed } = files

const unsettled = async ({ client, copy }: FollowedFile): Promise<string[]> =>
  (await client.query<{ unsettled: string[] }>('SELECT unsettled FROM tidemark.move_runs WHERE id = $1', [copy.runId])).rows[0]!
    .unsettled

describe('a schema that changes while it is followed', () => {
  it('S22: numbers rows without a key anew after VACUUM', async () => {
    const file = await followed("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a'), ('b'), ('c'), ('d')")
    const follow = await file.follow()
    file.app.exec('DELETE FROM t WHERE rowid = 1')
    await follow.drain()
    file.app.exec("VACUUM; UPDATE t SET v = 'B' WHERE rowid = 1")
    const ticks = await ticksToHead(follow)
    expect(ticks.flatMap(({ renewed }) => renewed)).toEqual(['t'])
    expect(await file.rows('t', '2')).toEqual([
      ['B', '1'],
      ['c', '2'],
      ['d', '3'],
    ])
    expect(await unsettled(file)).toEqual([])
    await expectSame(file)
  })

  it('arms a rebuilt table again, and finds what was written while it was not', async () => {
    const file = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c' || char(0)), (4, 'd' || char(0))",
    )
    const follow = await file.follow()
    file.app.exec(`
      BEGIN; CREATE TABLE t_new (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t_new SELECT * FROM t; DROP TABLE t; ALTER TABLE t_new RENAME TO t; COMMIT;
      UPDATE t SET v = 'unseen' WHERE id = 1; DELETE FROM t WHERE id IN (2, 4); UPDATE t SET v = 'clean' WHERE id = 3; INSERT INTO t VALUES (9, 'new')`)
    const ticks = await ticksToHead(follow)
    expect(ticks.flatMap(({ renewed }) => renewed)).toEqual(['t'])
    expect(await file.rows('t')).toEqual([
      ['1', 'unseen'],
      ['3', 'clean'],
      ['9', 'new'],
    ])
    const { rowCount } = await file.client.query('SELECT FROM tidemark.move_rejects WHERE run_id = $1', [file.copy.runId])
    expect(rowCount).toBe(0)
    await expectSame(file)
    file.app.exec("UPDATE t SET v = 'seen' WHERE id = 1")
    expect(await follow.tick()).toMatchObject({ applied: 1, atHead: true })
  })

  it('does not forget a rebuilt table when it dies after arming it', async () => {
    const file = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
    const follow = await file.follow()
    file.app.exec(
      "CREATE TABLE n AS SELECT * FROM t; DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'unseen'), (2, 'b'); DROP TABLE n",
    )
    // The first tick arms and does no more.
    expect(await follow.tick()).toMatchObject({ applied: 0, atHead: false, renewed: [] })
    expect(await unsettled(file)).toEqual(['t'])
    await follow.close()
    const next = await file.follow()
    expect((await ticksToHead(next)).flatMap(({ renewed }) => renewed)).toEqual(['t'])
    await expectSame(file)
  })

  it('waits for a table that is rebuilt in steps, and names it when it stays away', async () => {
    const file = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
    const clock = createFakeClock()
    const follow = await file.follow({ clock })
    const tick = async () => {
      const pending = follow.tick()
      const settled = { done: false }
      void pending.catch(() => undefined).finally(() => Object.assign(settled, { done: true }))
      while (!settled.done) {
        if (clock.sleeping > 0) await clock.advance(10)
        await new Promise((resolve) => setImmediate(resolve))
      }
      return pending
    }
    file.app.exec('ALTER TABLE t RENAME TO old')
    expect(await tick()).toMatchObject({ applied: 0, atHead: false })
    file.app.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t SELECT id, 'x' FROM old; DROP TABLE old")
    for (let i = 0; i < 3; i++) await tick()
    await expectSame(file)
    file.app.exec('DROP TABLE t')
    await tick()
    await clock.advance(3000)
    await expect(tick()).rejects.toMatchObject({ code: 'TM_MOVE_SCHEMA_CHANGED', message: expect.stringContaining('t is gone') })
  })

  it('leaves a table alone that was renamed the legacy way, and finds what was written when it comes back', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE); CREATE TABLE u (id INTEGER PRIMARY KEY)')
    const follow = await file.follow()
    file.app.exec('PRAGMA legacy_alter_table = ON; ALTER TABLE t RENAME TO renamed')
    const write = (sql: string) => () => file.app.exec(`SELECT 1 FROM u; ${sql}`)
    expect(write("INSERT INTO renamed VALUES (1, 'a')")).toThrow('no such table: main.t')
    await follow.tick()
    expect(write("INSERT INTO renamed VALUES (1, 'a')")).not.toThrow()
    file.app.exec('ALTER TABLE renamed RENAME TO t')
    const ticks = await ticksToHead(follow)
    expect(ticks.flatMap(({ renewed }) => renewed)).toEqual(['t'])
    file.app.exec("INSERT INTO t VALUES (2, 'b')")
    expect(await follow.tick()).toMatchObject({ applied: 1, atHead: true })
    await expectSame(file)
  })

  it('stops at a table of another shape, names it, and goes on when that is undone', async () => {
    const file = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
    const follow = await file.follow()
    file.app.exec("UPDATE t SET v = 'b'; ALTER TABLE t ADD COLUMN extra TEXT")
    await expect(follow.tick()).rejects.toMatchObject({
      code: 'TM_MOVE_SCHEMA_CHANGED',
      message: expect.stringContaining('t has other columns'),
      fix: expect.stringContaining('abort'),
    })
    expect(await file.rows('t')).toEqual([['1', 'a']])
    file.app.exec('ALTER TABLE t DROP COLUMN extra')
    await follow.drain()
    expect(await file.rows('t')).toEqual([['1', 'b']])
  })

  it('tells of a new table once, and follows the others', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const events: MoveEvent[] = []
    const follow = await file.follow({ onEvent: (event) => events.push(event) })
    file.app.exec('CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO later VALUES (1); INSERT INTO t VALUES (1)')
    await follow.drain()
    await follow.tick()
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []))
    expect(notices.filter((message) => message.includes('new table later'))).toHaveLength(1)
    expect(await file.rows('t')).toEqual([['1']])
  })

  it('raises TM_SQLITE_CHANGED for another file in its place', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    file.app.pragma('wal_checkpoint(TRUNCATE)')
    const backup = join(files.folder, 'backup.db')
    copyFileSync(file.path, backup)
    const follow = await file.follow()
    file.app.exec('INSERT INTO t VALUES (1)')
    await follow.drain()
    file.app.pragma('wal_checkpoint(TRUNCATE)')
    renameSync(backup, file.path)
    await expect(follow.tick()).rejects.toMatchObject({ code: 'TM_SQLITE_CHANGED' })
    await expect(file.follow().then((other) => other.tick())).rejects.toMatchObject({ code: 'TM_SQLITE_CHANGED' })
  })

  it('raises it for an older copy that was written over the same file, however far its log has grown since', async () => {
    const file = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    const first = await file.follow()
    file.app.exec("UPDATE t SET v = 'first'")
    await first.drain()
    await first.close()
    file.app.pragma('wal_checkpoint(TRUNCATE)')
    const older = readFileSync(file.path)
    const follow = await file.follow()
    file.app.exec("UPDATE t SET v = 'lost' WHERE id = 1")
    await follow.drain()
    await follow.close()
    file.app.close()
    writeFileSync(file.path, older)
    const app = new BetterSqlite(file.path)
    app.exec("UPDATE t SET v = 'new' WHERE id = 2; UPDATE t SET v = 'newer' WHERE id = 2")
    app.close()
    await expect(file.follow().then((other) => other.drain())).rejects.toMatchObject({
      code: 'TM_SQLITE_CHANGED',
      message: expect.stringContaining('older copy') as string,
    })
  })
})

describe('rows that lost their rowids', () => {
  it('get them again when following goes on after a rollback', async () => {
    const file = await followed("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a'), ('b')")
    const name = `${files.schema}.t`
    const { rows } = await file.client.query<{ make_sql: string; drop_sql: string }>(
      "SELECT make_sql, drop_sql FROM tidemark.move_waiting WHERE run_id = $1 AND kind = 'rowColumn'",
      [file.copy.runId],
    )
    await file.client.query(rows[0]!.make_sql)
    expect((await file.client.query(`SELECT * FROM ${name}`)).rows).toEqual([{ v: 'a' }, { v: 'b' }])
    await file.client.query(rows[0]!.drop_sql)
    const follow = await file.follow()
    file.app.exec("UPDATE t SET v = 'B' WHERE rowid = 2")
    expect(await follow.tick()).toMatchObject({ atHead: true, renewed: ['t'] })
    await expectSame(file)
  })
})

describe('reconciling', () => {
  it('brings over what nobody logged: missing, extra and differing rows', async () => {
    const make = `CREATE TABLE whole (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE texts (k TEXT PRIMARY KEY, v TEXT); CREATE TABLE loose (v TEXT);
      CREATE TABLE days (k DATETIME PRIMARY KEY, v TEXT); CREATE TABLE handleless (rowid TEXT, oid TEXT, _rowid_ TEXT);
      INSERT INTO whole VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO texts VALUES ('x', 'a'), ('y', 'b'), ('z', 'c'); INSERT INTO loose VALUES ('a'), ('b');
      INSERT INTO days VALUES ('2024-01-01 10:00:00', 'a'), ('2024-01-02 10:00:00', 'b'); INSERT INTO handleless VALUES ('a', 'b', 'c')`
    const file = await followed(make)
    const at = (table: string) => `${files.schema}.${table}`
    await file.client.query(`BEGIN; SET LOCAL tidemark.origin = 'move';
      UPDATE ${at('whole')} SET v = 'wrong' WHERE id = 1; DELETE FROM ${at('whole')} WHERE id = 2; INSERT INTO ${at('whole')} VALUES (7, 'extra');
      UPDATE ${at('texts')} SET v = 'wrong' WHERE k = 'x'; DELETE FROM ${at('texts')} WHERE k = 'y'; INSERT INTO ${at('texts')} VALUES ('extra', 'extra');
      UPDATE ${at('loose')} SET v = 'wrong' WHERE v = 'a'; INSERT INTO ${at('days')} VALUES ('2030-01-01 00:00:00', 'extra');
      DELETE FROM ${at('handleless')}; COMMIT`)
    const follow = await file.follow()
    expect(await follow.reconcile('whole')).toEqual({ table: 'whole', logged: 3, removed: 0, reloaded: false })
    expect(await follow.reconcile('texts')).toEqual({ table: 'texts', logged: 3, removed: 0, reloaded: false })
    expect(await follow.reconcile('loose')).toEqual({ table: 'loose', logged: 1, removed: 0, reloaded: false })
    expect(await follow.reconcile('days')).toMatchObject({ logged: expect.any(Number), reloaded: false })
    expect(await follow.reconcile('handleless')).toMatchObject({ reloaded: true })
    await expect(follow.reconcile('nothing')).rejects.toMatchObject({ code: 'TM_MOVE_NOT_ALLOWED' })
    await follow.drain()
    await expectSame(file)
  })
})

describe('a run that was copied without capture', () => {
  it('is made live, and what changed since is found', async () => {
    const { makeFile, planFile } = await import('./testing/followed-file.js')
    const { copyMove } = await import('../copy/copy.js')
    const { takeOver } = await import('../live/record.js')
    const { makeLive } = await import('./prepare-live.js')
    const { openFollow } = await import('./open-follow.js')
    const { verifyMove } = await import('../verify/verify.js')
    const pg = (await import('pg')).default
    const options = {
      folder: files.folder,
      url: files.url,
      schema: files.schema,
      make: "CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE); CREATE TABLE c (v TEXT, p INTEGER REFERENCES p (id)); INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES ('x', 1), ('y', 2)",
    }
    const app = makeFile(options)
    const target = { url: files.url }
    const plan = await planFile(options, app.name, false)
    const { runId } = await copyMove(plan, { target })
    app.exec(
      "UPDATE p SET u = '?' WHERE id = 1; UPDATE p SET u = 'a' WHERE id = 2; INSERT INTO p VALUES (3, 'c'); DELETE FROM c WHERE v = 'x'; INSERT INTO c VALUES ('z', 3)",
    )
    const client = new pg.Client({ connectionString: files.url })
    await client.connect()
    const held = await makeLive(client, await takeOver(client, runId))
    expect(held.run.plan.tables.map(({ reportKey }) => reportKey)).toEqual([['id'], ['rowid']])
    expect(await makeLive(client, held)).toBe(held)
    await captureRun(client, runId)
    const run = await requireLiveRun(client, { runId })
    const follow = await openFollow({ held: { run, epoch: run.epoch }, target })
    app.exec("INSERT INTO p VALUES (4, 'd')")
    const ticks = await ticksToHead(follow)
    expect(ticks.flatMap(({ renewed }) => renewed)).toEqual(['c', 'p'])
    expect((await verifyMove(plan, { target })).ok).toBe(true)
    const { rows } = await client.query('SELECT kind, name FROM tidemark.move_waiting WHERE run_id = $1 ORDER BY ordinal', [
      runId,
    ])
    expect(rows.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'unique p_u_key',
      'foreignKey c_p_fkey',
      'rowColumn _tidemark_rowid',
    ])
    await follow.close()
    await client.end()
    app.close()
  })
})
