import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeSqlite } from '../../testing/make-sqlite.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { copyMove } from '../copy/copy.js'
import type { MoveEvent } from '../move.js'
import { planMove } from '../plan/plan.js'
import type { ExportOptions, ExportReport } from './export.js'
import { exportMove } from './export-move.js'
import { readSourceSql } from './source-sql.js'

let folder: string
const database = useDatabase()
const client = useClient(database)
let schemas = 0

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-export-'))
  return () => rmSync(folder, { recursive: true, force: true })
})

/** Writes a file, moves it, and gives what an export is asked with. */
const move = async (
  make: string | ((db: Database) => void),
  choices?: object,
  exclude: string[] = [],
): Promise<ExportOptions> => {
  const schema = `x${++schemas}`
  const path = makeSqlite(join(folder, 'app.db'), make)
  const choicesPath = join(folder, 'choices.json')
  if (choices) writeFileSync(choicesPath, JSON.stringify({ version: 1, ...choices }))
  const plan = await planMove({ path, schema, exclude, ...(choices && { choicesPath }) })
  const { runId } = await copyMove(plan, { target: { url: database.url } })
  await client.query(`SET search_path = ${schema}`)
  return { run: { id: runId, path, plan }, target: { url: database.url }, outPath: join(folder, 'out.db') }
}

const rows = (path: string, sql: string): unknown[] => {
  const db = new BetterSqlite(path, { readonly: true })
  try {
    return db.prepare(sql).raw(true).all()
  } finally {
    db.close()
  }
}

const objects = (path: string): unknown[] =>
  rows(path, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name")

describe('R90: an export', () => {
  it('has the rows of Postgres in tables, indexes, views and triggers of the original', async () => {
    const options = await move((db) => {
      for (const pragma of ['page_size = 8192', 'auto_vacuum = FULL', 'user_version = 42', 'application_id = 4711'])
        db.pragma(pragma)
      db.pragma('journal_mode = WAL')
      db.exec(`CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT COLLATE NOCASE, n REAL CHECK (n > 0), up TEXT GENERATED ALWAYS AS (upper(v)));
        CREATE TABLE w (a TEXT, b BLOB, PRIMARY KEY (a)) WITHOUT ROWID, STRICT;
        CREATE UNIQUE INDEX part ON "odd ""name" (v) WHERE n > 1;
        CREATE VIEW seen AS SELECT v FROM "odd ""name";
        CREATE TRIGGER noisy AFTER INSERT ON w BEGIN INSERT INTO "odd ""name" (v) VALUES ('from the trigger'); END;
        INSERT INTO "odd ""name" (v, n) VALUES ('a', 1.5), ('b', 2.5); INSERT INTO w VALUES ('k', x'00'), ('l', NULL);
        DELETE FROM "odd ""name" WHERE v = 'from the trigger'`)
    })
    await client.query(`UPDATE "odd ""name" SET v = 'changed' WHERE id = 1; INSERT INTO w VALUES ('new', '\\x0102')`)
    const events: MoveEvent[] = []
    const report = await exportMove({ ...options, onEvent: (event) => events.push(event) })
    expect(report).toMatchObject({
      ok: true,
      path: options.outPath,
      tables: [
        { table: 'odd "name', rows: 2, nearest: 0, refused: 0 },
        { table: 'w', rows: 3, nearest: 0, refused: 0 },
      ],
      differences: [],
      left: [],
    })
    expect(report.bytes).toBeGreaterThan(8192)
    expect(objects(options.outPath)).toEqual(objects(options.run.path))
    expect(rows(options.outPath, 'SELECT id, v, n, up FROM "odd ""name"')).toEqual([
      [1, 'changed', 1.5, 'CHANGED'],
      [2, 'b', 2.5, 'B'],
    ])
    expect(rows(options.outPath, 'SELECT a, hex(b) FROM w')).toEqual([
      ['k', '00'],
      ['l', ''],
      ['new', '0102'],
    ])
    const pragmas = (path: string) => {
      const db = new BetterSqlite(path)
      const values = ['page_size', 'auto_vacuum', 'user_version', 'application_id', 'journal_mode', 'encoding'].map((name) =>
        db.pragma(name, { simple: true }),
      )
      db.close()
      return values
    }
    expect(pragmas(options.outPath)).toEqual([8192, 1, 42, 4711, 'wal', 'UTF-8'])
    expect(readdirSync(folder).filter((name) => !name.startsWith('app.db'))).toEqual(['out.db'])
    expect(events).toContainEqual({ type: 'phase', phase: 'copy', rowsTotal: 5 })
    expect(events).toContainEqual({ type: 'table', phase: 'copy', table: 'w', state: 'finished', rows: 3 })
  })

  it('gives no id again that Postgres or the file has given out', async () => {
    const options =
      await move(`CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES (50); DELETE FROM a; INSERT INTO a VALUES (3);
      CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO b VALUES (1, 'x')`)
    await client.query("INSERT INTO b (v) VALUES ('y'), ('z'); DELETE FROM b WHERE id > 1")
    await exportMove(options)
    expect(rows(options.outPath, 'SELECT name, seq FROM sqlite_sequence ORDER BY name')).toEqual([
      ['a', 50],
      ['b', 3],
    ])
  })

  it('needs no original: its statements are kept with the run', async () => {
    const options = await move('CREATE TABLE t (id INTEGER PRIMARY KEY, "exact name" TEXT); INSERT INTO t VALUES (1, NULL)')
    rmSync(options.run.path)
    expect(await exportMove(options)).toMatchObject({ ok: true })
    expect(objects(options.outPath)).toEqual([['table', 't', 'CREATE TABLE t (id INTEGER PRIMARY KEY, "exact name" TEXT)']])
  })

  it('asks the original where nothing was kept, and TM_MOVE_EXPORT_SOURCE where that is gone', async () => {
    const options = await move('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await client.query("UPDATE tidemark.move_runs SET source_sql = '[]' WHERE id = $1", [options.run.id])
    expect(await exportMove(options)).toMatchObject({ ok: true })
    rmSync(options.run.path)
    await expect(exportMove({ ...options, outPath: join(folder, 'b.db') })).rejects.toMatchObject({
      code: 'TM_MOVE_EXPORT_SOURCE',
    })
  })

  it('TM_MOVE_EXPORT_EXISTS: never writes over a file, nor beside what belongs to one', async () => {
    const options = await move('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    for (const name of ['out.db', 'out.db-wal', 'out.db-journal']) {
      writeFileSync(join(folder, name), 'precious')
      await expect(exportMove(options)).rejects.toMatchObject({ code: 'TM_MOVE_EXPORT_EXISTS' })
      rmSync(join(folder, name))
    }
    expect(existsSync(options.outPath)).toBe(false)
  })

  it('TM_MOVE_TARGET_MISSING, TM_SQLITE_PERMISSION and an abort leave nothing behind', async () => {
    const options = await move('CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE u (id INTEGER PRIMARY KEY)')
    await expect(exportMove({ ...options, outPath: join(folder, 'none', 'out.db') })).rejects.toMatchObject({
      code: expect.stringMatching(/^TM_/),
    })
    await expect(exportMove({ ...options, signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped')
    await client.query('DROP TABLE u')
    await expect(exportMove(options)).rejects.toMatchObject({ code: 'TM_MOVE_TARGET_MISSING' })
    expect(readdirSync(folder)).toEqual(['app.db'])
  })

  it('tells every row that the file refuses and every value that it holds only nearly', async () => {
    const options = await move(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, n NUMERIC, d DATE); INSERT INTO t VALUES (1, 'Anna', 1.5, '2024-01-01');
      CREATE TABLE u (a TEXT); CREATE UNIQUE INDEX one ON u (lower(a)); INSERT INTO u VALUES ('x')`,
      { tables: { t: { columns: { n: { type: 'numeric' } } } } },
    )
    const { rows: indexes } = await client.query<{ name: string }>(
      "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid IN ('t'::regclass, 'u'::regclass) AND NOT indisprimary",
    )
    for (const { name } of indexes)
      await client.query(`ALTER TABLE t DROP CONSTRAINT IF EXISTS ${name}; DROP INDEX IF EXISTS ${name}`)
    await client.query(
      "INSERT INTO t VALUES (2, 'ANNA', 2, NULL), (3, 'Bert', 0.12345678901234567890123, 'infinity'); INSERT INTO u VALUES ('X')",
    )
    const report = await exportMove(options)
    expect(report).toMatchObject<Partial<ExportReport>>({
      ok: false,
      tables: [
        { table: 't', rows: 2, nearest: 1, refused: 1 },
        { table: 'u', rows: 2, nearest: 0, refused: 0 },
      ],
      differences: [
        { table: 't', key: "id='2'", column: null, reason: 'UNIQUE constraint failed: t.name' },
        { table: 't', key: "id='3'", column: 'n', reason: expect.stringContaining('nearest number') },
        { table: 't', key: "id='3'", column: 'd', reason: expect.stringContaining('no form') },
      ],
      left: [{ name: 'one', reason: expect.stringContaining('UNIQUE') }],
    })
    expect(rows(options.outPath, 'SELECT id, n, d FROM t')).toEqual([
      [1, 1.5, '2024-01-01'],
      [3, 0.12345678901234568, 'infinity'],
    ])
  })

  it('names what never came to Postgres', async () => {
    const options = await move(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE); INSERT INTO t VALUES (1, '2024-01-01'), (2, 'never');
       CREATE TABLE away (id INTEGER PRIMARY KEY); INSERT INTO away VALUES (1);
       CREATE VIRTUAL TABLE search USING fts5 (body); INSERT INTO search VALUES ('words')`,
      { rejects: 'allow', tables: { t: { columns: { d: { type: 'date' } } } } },
      ['away'],
    )
    const report = await exportMove(options)
    expect(report.ok).toBe(false)
    expect(report.left).toEqual([
      { name: 'search', reason: expect.stringContaining('kept by a module') },
      { name: 'away', reason: expect.stringContaining('the move left its rows') },
      { name: 't', reason: expect.stringContaining('1 row(s) never came') },
    ])
    expect(
      rows(options.outPath, 'SELECT (SELECT count(*) FROM away), (SELECT count(*) FROM search), (SELECT count(*) FROM t)'),
    ).toEqual([[0, 0, 1]])
  })

  it('is of one moment, whatever is written meanwhile', async () => {
    const options = await move(`CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY);
      WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000) INSERT INTO a SELECT n FROM i; INSERT INTO b SELECT id FROM a`)
    let writes: Promise<unknown> | undefined
    const onEvent = (event: MoveEvent) => {
      if (event.type === 'progress' && event.table === 'a') writes ??= client.query('DELETE FROM b; INSERT INTO a VALUES (9000)')
    }
    const report = await exportMove({ ...options, onEvent })
    await writes
    expect(report.tables.map(({ rows }) => rows)).toEqual([3000, 3000])
  })
})

describe('the statements of a file', () => {
  it('leave out what a move put there, and know the triggers that stand aside', () => {
    const db = new BetterSqlite(':memory:')
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE _tidemark_control (id INTEGER);
      CREATE TABLE _tidemark_triggers (id INTEGER PRIMARY KEY, name TEXT, tbl_name TEXT, sql TEXT);
      INSERT INTO _tidemark_triggers VALUES (1, 'tr', 't', 'CREATE TRIGGER tr …');
      CREATE TRIGGER _tidemark_1_insert AFTER INSERT ON t BEGIN SELECT 1; END`)
    expect(readSourceSql(db)).toMatchObject({
      encoding: 'UTF-8',
      pageSizeBytes: 4096,
      objects: [
        { type: 'table', name: 't', table: 't' },
        { type: 'trigger', name: 'tr', table: 't', sql: 'CREATE TRIGGER tr …' },
      ],
    })
    db.close()
  })
})
