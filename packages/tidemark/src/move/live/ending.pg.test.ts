import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { cutover } from '../cutover/cutover.js'
import { planMove } from '../plan/plan.js'
import { rollback } from '../rollback/rollback.js'
import { abort } from './abort.js'
import { conduct } from './conductor.js'
import { finish } from './finish.js'
import { type LiveMove, useLiveMoves } from './testing/live-moves.js'

const moves = useLiveMoves()

/** Everything that a file defines, in the order of its making. */
const schemaOf = (app: Database): unknown =>
  app.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name').all()

const one = async (sql: string, values: readonly unknown[] = []): Promise<unknown> =>
  Object.values((await moves.client.query<Record<string, unknown>>(sql, [...values])).rows[0] ?? {})[0]

/** Everything that stands in a schema, down to columns, constraints, triggers and identities; and what the feed has beside it. */
const catalogueOf = async (schema: string): Promise<unknown> => {
  const { rows } = await moves.client.query(
    `SELECT c.relname, c.relkind, c.relreplident FROM pg_class AS c WHERE c.relnamespace = to_regnamespace($1)
     UNION ALL SELECT format('%s.%s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull), 'a', 'x' FROM pg_attribute AS a
       JOIN pg_class AS c ON c.oid = attrelid AND c.relkind = 'r' WHERE c.relnamespace = to_regnamespace($1) AND attnum > 0 AND NOT attisdropped
     UNION ALL SELECT conname || pg_get_constraintdef(oid), contype, 'x' FROM pg_constraint WHERE connamespace = to_regnamespace($1)
     UNION ALL SELECT tgname || tgenabled::text, 't', 'x' FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid WHERE c.relnamespace = to_regnamespace($1) AND NOT tgisinternal
     UNION ALL SELECT slot_name, 's', 'x' FROM pg_replication_slots WHERE database = current_database()
     UNION ALL SELECT pubname, 'p', 'x' FROM pg_publication ORDER BY 1, 2`,
    [schema],
  )
  return rows
}

describe('aborting a move', () => {
  it('leaves both sides as they were', async () => {
    const move = await moves.make()
    const before = [schemaOf(move.app), await catalogueOf(move.schema)]
    await move.ready()
    expect(schemaOf(move.app)).not.toEqual(before[0])
    expect(await abort(move.options)).toMatchObject({
      ok: true,
      tables: 'dropped',
      fileCleaned: true,
      unmade: [],
      lostTriggers: [],
    })
    expect([schemaOf(move.app), await catalogueOf(move.schema)]).toEqual(before)
    expect(await move.status()).toMatchObject({ state: 'aborted', writer: 'sqlite', holder: null, next: [] })
    await expect(abort(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
    await expect(conduct(move.options)).resolves.toMatchObject({ outcome: 'aborted' })
  })

  it('ends whoever conducts it, and lets another move begin', async () => {
    const move = await moves.makeReady()
    const { done } = move.conduct()
    await until(async () => (await move.status()).holder !== null)
    await abort(move.options)
    expect(await done).toMatchObject({ outcome: 'aborted' })
    const plan = await planMove({ path: move.path, schema: move.schema, live: true })
    expect(await conduct({ ...move.options, plan, until: 'ready', checkShare: 1 })).toMatchObject({ outcome: 'ready' })
  })

  it('goes on where it was cut off', async () => {
    const move = await moves.makeReady()
    await moves.client.query(`CREATE VIEW ${move.schema}.report AS SELECT count(*) FROM ${move.schema}.posts`)
    await expect(abort(move.options)).rejects.toMatchObject({
      code: 'TM_MOVE_BLOCKED',
      message: expect.stringContaining('report') as string,
    })
    // The application is free all the same.
    expect(move.app.prepare("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tidemark%' ESCAPE '\\'").pluck().get()).toBe(
      0,
    )
    await moves.client.query(`DROP VIEW ${move.schema}.report`)
    expect(await abort(move.options)).toMatchObject({ ok: true, tables: 'dropped', fileCleaned: false })
    expect(await one('SELECT to_regclass($1) IS NULL', [`${move.schema}.posts`])).toBe(true)
  })

  it('keeps the tables where that is asked for, as ordinary tables with every constraint', async () => {
    const move = await moves.makeReady()
    expect(await abort({ ...move.options, keepTables: true })).toMatchObject({ ok: true, tables: 'kept', unmade: [] })
    await moves.client.query(`INSERT INTO ${move.schema}.notes VALUES ('free', 1)`)
    await expect(moves.client.query(`INSERT INTO ${move.schema}.posts VALUES (1000, 999, '', '')`)).rejects.toMatchObject({
      code: '23503',
    })
    await expect(
      moves.client.query(`INSERT INTO ${move.schema}.authors (id, email) VALUES (1000, 'a1@example.org')`),
    ).rejects.toMatchObject({
      code: '23505',
    })
    expect(
      await one('SELECT count(*)::integer FROM pg_attribute WHERE attname = $1 AND attrelid = $2::regclass', [
        '_tidemark_rowid',
        `${move.schema}.notes`,
      ]),
    ).toBe(0)
  })

  it('gives tables that existed back, empty and with what they had', async () => {
    const move = await moves.make({
      prepare: (app) => app.exec("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'ann')"),
    })
    await moves.client.query(
      `CREATE SCHEMA ${move.schema}; SET search_path TO ${move.schema}; CREATE TABLE users (id bigint PRIMARY KEY, name text UNIQUE, boss bigint REFERENCES users (id));
       CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER stamped BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();
       RESET search_path`,
    )
    const before = [schemaOf(move.app), await catalogueOf(move.schema)]
    const mapPath = join(moves.folder, `${move.schema}.map.json`)
    const map = {
      version: 1,
      ignoreTables: ['authors', 'posts', 'tags', 'notes'],
      tables: { users: { to: 'users', extraTargetColumns: ['boss'] } },
    }
    writeFileSync(mapPath, JSON.stringify(map))
    const plan = await planMove({ ...move.options, schema: move.schema, into: 'existing', mapPath, live: true })
    await conduct({ ...move.options, plan, until: 'ready', checkShare: 1 })
    expect(await catalogueOf(move.schema)).not.toEqual(before[1])
    expect(await abort(move.options)).toMatchObject({ ok: true, tables: 'emptied', unmade: [] })
    expect([schemaOf(move.app), await catalogueOf(move.schema)]).toEqual(before)
    expect(await one(`SELECT count(*)::integer FROM ${move.schema}.users`)).toBe(0)
  })

  it('takes a move back that was rolled back, too', async () => {
    const move = await moves.make()
    const before = [schemaOf(move.app), await catalogueOf(move.schema)]
    await move.ready()
    await cutover(move.options)
    await expect(abort(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
    await rollback(move.options)
    await abort(move.options)
    expect([schemaOf(move.app), await catalogueOf(move.schema)]).toEqual(before)
  })
})

describe('R91: finishing a move', () => {
  const age = (move: LiveMove, days: number) =>
    moves.client.query("UPDATE tidemark.move_runs SET cut_over_at = now() - $2 * interval '1 day' WHERE source_path = $1", [
      move.path,
      days,
    ])

  it('C48: is refused within seven days of the cutover, unless it is asked for in so many words', async () => {
    const move = await moves.makeReady()
    await expect(finish(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
    await cutover(move.options)
    await age(move, 6.9)
    await expect(finish(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_FINISH_EARLY', exitCode: 6 })
    expect((await move.status()).state).toBe('mirroring')
    expect(await finish({ ...move.options, yes: true })).toMatchObject({ ok: true })
  })

  it('frees the file, drops the slot and the publication, and keeps a report', async () => {
    const move = await moves.make()
    const before = [
      schemaOf(move.app),
      await one('SELECT count(*)::integer FROM pg_replication_slots WHERE database = current_database()'),
      await one('SELECT count(*)::integer FROM pg_publication'),
    ]
    await move.ready()
    await cutover(move.options)
    const { done } = move.conduct()
    await age(move, 8)
    const report = await finish(move.options)
    expect(report).toMatchObject({
      ok: true,
      fileCleaned: true,
      lostTriggers: [],
      differences: 0,
      rejects: { rows: 0, values: 0 },
      tables: [
        { table: 'authors', rows: 20 },
        { table: 'posts', rows: 200 },
        { table: 'tags', rows: 200 },
        { table: 'notes', rows: 20 },
      ],
    })
    expect(report.history.map(({ to }) => to)).toEqual(['following', 'cuttingOver', 'mirroring'])
    expect(await done).toMatchObject({ outcome: 'finished' })
    expect([
      schemaOf(move.app),
      await one('SELECT count(*)::integer FROM pg_replication_slots WHERE database = current_database()'),
      await one('SELECT count(*)::integer FROM pg_publication'),
    ]).toEqual(before)
    expect(
      await one("SELECT report -> 'final' ->> 'runId' = id::text FROM tidemark.move_runs WHERE source_path = $1", [move.path]),
    ).toBe(true)
    await moves.client.query(`INSERT INTO ${move.schema}.notes VALUES ('Postgres goes on', 1)`)
    await expect(finish(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
  })

  it('does not need a file that is gone, and goes on where it was cut off', async () => {
    const move = await moves.makeReady()
    await cutover(move.options)
    await age(move, 8)
    move.app.close()
    for (const end of ['', '-wal', '-shm'])
      if (existsSync(`${move.path}${end}`)) renameSync(`${move.path}${end}`, `${move.path}.away${end}`)
    expect(await finish(move.options)).toMatchObject({ ok: true, fileCleaned: false })
    await moves.client.query(`UPDATE tidemark.move_runs SET report = report || '{"cleanedUp": false}' WHERE source_path = $1`, [
      move.path,
    ])
    expect(await finish(move.options)).toMatchObject({
      ok: true,
      tables: [{ rows: 20 }, { rows: 200 }, { rows: 200 }, { rows: 20 }],
    })
  })
})
