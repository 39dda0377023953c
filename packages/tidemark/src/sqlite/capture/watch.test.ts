import { afterEach, describe, expect, it } from 'vitest'
import type { SchemaWatch } from './capture.js'
import { beginCut, openAgain, seal } from './cut.js'
import { rearm } from './install.js'
import {
  byColumns,
  byRowid,
  type CapturedFile,
  captureFile,
  captureTables,
  refusal,
  removeFiles,
} from './testing/captured-file.js'
import { hasProgram, runCli } from './testing/other-library.js'
import { watchSchema } from './watch.js'

afterEach(removeFiles)

const sql = `CREATE TABLE a(id INTEGER PRIMARY KEY, x, y); CREATE TABLE b(k TEXT PRIMARY KEY, x); CREATE TABLE loose(x);
  CREATE TABLE left_out(x); CREATE UNIQUE INDEX ay ON a(y)`
const keys = { a: byColumns('id'), b: byColumns('k'), loose: byRowid() }
const quiet = { moved: false, unarmed: [], dropped: [], added: [], reshaped: [] }

const capture = () => captureFile(sql, keys)
const look = ({ file }: CapturedFile): Promise<SchemaWatch> => file.read(watchSchema)
const again = (captured: CapturedFile, watch: SchemaWatch, names: readonly string[]) =>
  rearm(captured.file, captured.hold, { watch, tables: captureTables(keys).filter(({ name }) => names.includes(name)) })

const rebuild = `BEGIN; CREATE TABLE new_a(id INTEGER PRIMARY KEY, x, y); INSERT INTO new_a SELECT * FROM a; DROP TABLE a;
  ALTER TABLE new_a RENAME TO a; COMMIT`

describe('watchSchema', () => {
  it('has nothing to tell while only rows change, nor of what Tidemark does itself', async () => {
    const captured = await capture()
    const { schemaVersion, ...found } = await look(captured)
    expect(found).toEqual(quiet)
    captured.app.exec('INSERT INTO a VALUES (1, 2, 3)')
    expect(await look(captured)).toEqual({ schemaVersion, ...quiet })
  })

  it.each([
    ['a rebuilt table', rebuild, { unarmed: ['a'] }],
    [
      'one that was renamed, made anew and filled',
      `ALTER TABLE a RENAME TO old; CREATE TABLE a(id INTEGER PRIMARY KEY, x, y); INSERT INTO a SELECT * FROM old; DROP TABLE old`,
      { unarmed: ['a'] },
    ],
    ['a dropped table', 'DROP TABLE b', { dropped: ['b'] }],
    ['a renamed table', 'ALTER TABLE b RENAME TO c', { dropped: ['b'], added: ['c'] }],
    ['a renamed column', 'ALTER TABLE a RENAME COLUMN x TO z', { reshaped: ['a'] }],
    ['a renamed key', 'ALTER TABLE a RENAME COLUMN id TO nr', { unarmed: ['a'], reshaped: ['a'] }],
    ['a new column', 'ALTER TABLE a ADD COLUMN z DEFAULT 1', { reshaped: ['a'] }],
    ['a column that went', 'ALTER TABLE a DROP COLUMN x', { reshaped: ['a'] }],
    ['a unique index that came', 'CREATE UNIQUE INDEX u ON a(x)', { unarmed: ['a'] }],
    ['a unique index that went, whose guard would be in the way of its column', 'DROP INDEX ay', { unarmed: ['a'] }],
    ['an index that takes no row out', 'CREATE INDEX i ON a(x)', {}],
    ['a new table', 'CREATE TABLE fresh(x)', { added: ['fresh'] }],
    ['a virtual table', 'CREATE VIRTUAL TABLE words USING fts5(x)', {}],
    ['a trigger of ours that went', 'DROP TRIGGER _tidemark_1_update', { unarmed: ['a'] }],
    [
      'a reference that makes SQLite convert a key',
      'CREATE TABLE child(p INTEGER REFERENCES b(k))',
      { unarmed: ['b'], added: ['child'] },
    ],
    ['VACUUM', 'VACUUM', {}],
  ])('sees %s', async (_what, change, found) => {
    const captured = await capture()
    const before = await look(captured)
    captured.app.exec(change)
    const after = await look(captured)
    // Behind any step of the schema, a VACUUM may hide that numbered anew the rows that have no key but the rowid.
    const unarmed = [...('unarmed' in found ? found.unarmed : []), 'loose'] as string[]
    expect(after).toEqual({ ...quiet, ...found, unarmed, moved: true, schemaVersion: expect.any(Number) })
    expect(after.schemaVersion).toBeGreaterThan(before.schemaVersion)
  })

  it('S22 counts VACUUM as a rebuild for tables without a key: their rowids are others afterwards', async () => {
    const captured = await capture()
    captured.app.exec('INSERT INTO loose VALUES (1), (2), (3); DELETE FROM loose WHERE x = 1; VACUUM')
    expect(captured.app.prepare('SELECT rowid FROM loose').pluck().all()).toEqual([1, 2])
    expect((await look(captured)).unarmed).toEqual(['loose'])
  })

  it.runIf(hasProgram('sqlite3'))('sees what the sqlite3 program does', async () => {
    const captured = await capture()
    expect((await runCli(captured.path, rebuild)).errors).toBe('')
    expect((await look(captured)).unarmed).toEqual(['a', 'loose'])
  })

  it('names tables that went or came for as long as they are gone or there', async () => {
    const captured = await capture()
    captured.app.exec('DROP TABLE b; CREATE TABLE fresh(x)')
    expect(await again(captured, await look(captured), ['a', 'loose'])).toBe(true)
    const { schemaVersion: _version, ...found } = await look(captured)
    expect(found).toEqual({ ...quiet, dropped: ['b'], added: ['fresh'] })
  })

  it('tells of a file that carries no capture', async () => {
    const captured = await capture()
    captured.app.exec('DROP TABLE _tidemark_control')
    expect(await look(captured)).toMatchObject({ moved: true, unarmed: [] })
  })
})

describe('rearm', () => {
  it('arms what was rebuilt, and then all is quiet', async () => {
    const captured = await capture()
    captured.app.exec(`${rebuild}; INSERT INTO a VALUES (1, 1, 1)`)
    expect(captured.logged()).toEqual([])
    const watch = await look(captured)
    expect(await again(captured, watch, watch.unarmed)).toBe(true)
    expect(await look(captured)).toEqual({ ...quiet, schemaVersion: watch.schemaVersion })
    captured.app.exec('UPDATE a SET x = 2')
    expect(captured.logged()).toEqual(['1: 1'])
  })

  it('takes triggers along that a rename carried away', async () => {
    const captured = await capture()
    captured.app.exec('ALTER TABLE a RENAME TO old; CREATE TABLE a(id INTEGER PRIMARY KEY, x, y)')
    const watch = await look(captured)
    await again(captured, watch, watch.unarmed)
    captured.app.exec('INSERT INTO old VALUES (5, 5, 5); INSERT INTO a VALUES (6, 6, 6)')
    expect(captured.logged()).toEqual(['1: 6'])
  })

  it('arms tables that came new, and those that were reshaped', async () => {
    const captured = await capture()
    captured.app.exec('CREATE TABLE fresh(p, q, PRIMARY KEY(p, q)); ALTER TABLE a ADD COLUMN z')
    const watch = await look(captured)
    const fresh = { id: 9, name: 'fresh', key: byColumns('p', 'q') }
    await rearm(captured.file, captured.hold, { watch, tables: [...captureTables(keys), fresh] })
    captured.app.exec('INSERT INTO fresh VALUES (1, 2)')
    expect(captured.logged()).toEqual(['9: 1, 2'])
    expect(await look(captured)).toMatchObject(quiet)
  })

  it('does nothing where the schema moved on since it was looked at', async () => {
    const captured = await capture()
    captured.app.exec(rebuild)
    const watch = await look(captured)
    captured.app.exec(rebuild)
    expect(await again(captured, watch, ['a'])).toBe(false)
    expect((await look(captured)).unarmed).toEqual(['a', 'loose'])
  })

  it('fences a table that was rebuilt while the file is cut, and lets it be told again afterwards', async () => {
    const captured = await capture()
    const { file, hold, app } = captured
    await beginCut(file, hold, { pauseMs: 60_000, schemaVersion: (await look(captured)).schemaVersion })
    await seal(file, hold, { drainedSeq: 0n })
    app.exec(rebuild)
    const watch = await look(captured)
    expect(watch.unarmed).toEqual(['a', 'loose'])
    expect(await again(captured, watch, ['a'])).toBe(true)
    expect(() => app.exec('INSERT INTO a VALUES (1, 1, 1)')).toThrow('tidemark')
    expect(await look(captured)).toMatchObject({ moved: true, unarmed: ['loose'] })
    await openAgain(file, hold)
    app.exec('INSERT INTO a VALUES (1, 1, 1)')
    expect(captured.logged()).toEqual(['1: 1'])
  })

  it('refuses a table that lost its key, and a process that was overtaken', async () => {
    const captured = await capture()
    captured.app.exec('ALTER TABLE a RENAME COLUMN id TO nr')
    const watch = await look(captured)
    expect((await refusal(() => again(captured, watch, ['a']))).code).toBe('TM_SQLITE_CHANGED')
    await rearm(captured.file, { ...captured.hold, epoch: 5n }, { watch, tables: [] })
    const later = await look(captured)
    expect((await refusal(() => again(captured, later, ['b']))).code).toBe('TM_MOVE_FENCED')
  })
})
