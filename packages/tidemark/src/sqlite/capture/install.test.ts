import Sqlite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { introspect } from '../introspect.js'
import type { CaptureDatabase } from './capture.js'
import { readControl } from './control.js'
import { beginCut, openAgain, seal } from './cut.js'
import { installCapture } from './install.js'
import { logHead } from './log.js'
import {
  byColumns,
  byRowid,
  captureFile,
  captureTables,
  createFile,
  openFile,
  refusal,
  removeFiles,
  runId,
} from './testing/captured-file.js'
import { watchSchema } from './watch.js'

afterEach(removeFiles)

const twoTables = `CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT UNIQUE);
  CREATE TABLE notes(user INTEGER REFERENCES users(id) ON DELETE CASCADE, text TEXT)`
const keys = { users: byColumns('id'), notes: byRowid() }
const options = { runId, captureId: 'capture-1', epoch: 1n, tables: captureTables(keys) }

const ownSql = (db: Sqlite.Database): readonly string[] =>
  db.prepare<[], string>(`SELECT sql FROM sqlite_schema WHERE name GLOB '_tidemark_*' ORDER BY name`).pluck().all()

const install = (file: CaptureDatabase, changes: Partial<typeof options> = {}) => installCapture(file, { ...options, ...changes })

describe('installCapture', () => {
  it.each(['DELETE', 'WAL'] as const)('captures writes of every program in their own transaction (%s)', async (journal) => {
    const { app, logged } = await captureFile(twoTables, keys, journal)
    app.pragma('foreign_keys = ON')
    app.exec(`INSERT INTO users VALUES (1, 'a'), (2, 'b'); INSERT INTO notes VALUES (1, 'x'), (1, 'y')`)
    expect(logged()).toEqual(['1: 1', '1: 2', '2: 1', '2: 2'])
    app.exec('BEGIN; DELETE FROM users; ROLLBACK')
    expect(logged()).toEqual([])
    app.exec('DELETE FROM users WHERE id = 1')
    expect([...logged()].sort()).toEqual(['1: 1', '2: 1', '2: 2'])
    app.exec('UPDATE users SET id = 7')
    expect(logged()).toEqual(expect.arrayContaining(['1: 2', '1: 7']))
    app.exec(`UPDATE users SET email = 'z'`)
    expect(logged()).toEqual(['1: 7'])
  })

  it('does nothing new when it is done again, and keeps the log', async () => {
    const { app, file } = await captureFile(twoTables, keys)
    app.exec(`INSERT INTO users VALUES (1, 'a')`)
    const before = ownSql(app)
    expect(await install(file)).toEqual({ head: 1n })
    expect(ownSql(app)).toEqual(before)
    expect(await install(file, { captureId: 'capture-2', epoch: 4n })).toEqual({ head: 1n })
    expect(readControl(file.db)).toEqual({
      captureId: 'capture-2',
      runId,
      epoch: 4n,
      fence: 'open',
      cuttingUntil: null,
      mirroredPosition: null,
      note: null,
    })
  })

  it('puts right what is missing, and forgets tables that are not wanted any more', async () => {
    const { app, file, logged } = await captureFile(twoTables, keys)
    app.exec('DROP TRIGGER _tidemark_1_insert')
    app.exec('DELETE FROM _tidemark_tables')
    await install(file, { tables: captureTables({ users: byColumns('id') }) })
    app.exec(`INSERT INTO users VALUES (1, 'a')`)
    expect(logged()).toEqual(['1: 1'])
    await install(file)
    await install(file, { tables: captureTables({ users: byColumns('id') }) })
    expect(app.prepare(`SELECT count(*) FROM sqlite_schema WHERE name GLOB '_tidemark_2_*'`).pluck().get()).toBe(0)
  })

  it('makes room for longer keys', async () => {
    const { app, file, logged } = await captureFile('CREATE TABLE a(x, y, z, PRIMARY KEY(x, y, z)); CREATE TABLE b(x)', {
      b: byRowid(),
    })
    await install(file, { tables: captureTables({ b: byRowid(), a: byColumns('x', 'y', 'z') }) })
    app.exec('INSERT INTO a VALUES (1, 2, 3); INSERT INTO b VALUES (9)')
    expect(logged()).toEqual(['2: 1, 2, 3', '1: 1'])
  })

  it('names the run that holds the file', async () => {
    const { file } = await captureFile(twoTables, keys)
    const error = await refusal(() => install(file, { runId: 'another' }))
    expect(error).toMatchObject({ code: 'TM_MOVE_CAPTURED', parameters: { run: `run ${runId}` } })
  })

  it('leaves a capture alone that another version of Tidemark made', async () => {
    const { path, app } = createFile(`${twoTables}; CREATE TABLE _tidemark_control (version)`)
    const file = await openFile(path)
    const error = await refusal(() => install(file))
    expect(error).toMatchObject({ code: 'TM_MOVE_CAPTURED', parameters: { run: expect.stringContaining('another version') } })
    app.exec('DROP TABLE _tidemark_control')
    await install(file)
    app.exec('UPDATE _tidemark_control SET layout = 99')
    expect((await refusal(() => install(file))).code).toBe('TM_MOVE_CAPTURED')
  })

  it('lets no process act that was overtaken', async () => {
    const { file } = await captureFile(twoTables, keys)
    await install(file, { epoch: 3n })
    const error = await refusal(() => install(file, { epoch: 2n }))
    expect(error).toMatchObject({ code: 'TM_MOVE_FENCED', parameters: { epoch: '2', pid: String(process.pid) } })
  })

  it('refuses tables and keys that are not in the file', async () => {
    const { path } = createFile(twoTables)
    const file = await openFile(path)
    const missing = async (tables: Parameters<typeof captureTables>[0]) =>
      (await refusal(() => install(file, { tables: captureTables(tables) }))).code
    expect(await missing({ nothing: byRowid() })).toBe('TM_SQLITE_CHANGED')
    expect(await missing({ users: byColumns('uid') })).toBe('TM_SQLITE_CHANGED')
    expect(readControl(file.db)).toBeNull()
  })

  it('S19 keeps a log on which no clause of the application can act', async () => {
    const { app, logged } = await captureFile(twoTables, keys)
    const sql = app.prepare(`SELECT sql FROM sqlite_schema WHERE name = '_tidemark_log'`).pluck().get()
    expect(sql).toBe('CREATE TABLE _tidemark_log (seq INTEGER PRIMARY KEY, t, k0)')
    app.exec(`INSERT OR IGNORE INTO users VALUES (1, 'a')`)
    app.exec(`INSERT INTO users VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET email = excluded.email`)
    app.exec(`INSERT OR REPLACE INTO users VALUES (1, 'c')`)
    app.exec(`UPDATE OR FAIL users SET email = 'd'`)
    expect(new Set(logged())).toEqual(new Set(['1: 1']))
    expect(ownSql(app).join()).not.toMatch(/\bOR (?:IGNORE|REPLACE|FAIL|ABORT|ROLLBACK)\b/)
  })

  it('uses in its triggers only words that an old library knows', async () => {
    const { app } = await captureFile(
      `${twoTables}; CREATE UNIQUE INDEX lower_email ON users(lower(email)) WHERE email > 'a'`,
      keys,
    )
    const triggers = app.prepare(`SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type = 'trigger'`).pluck().get()
    expect(triggers).not.toMatch(/json|unixepoch|subsec|->|iif|RETURNING|ON CONFLICT|UPDATE FROM|WITH |OVER/i)
  })

  it('captures writes through a connection that attached the file under another name', async () => {
    const { path, logged } = await captureFile(twoTables, keys)
    const other = new Sqlite(':memory:')
    other.exec(`CREATE TABLE _tidemark_log(t); CREATE TABLE users(id, email); ATTACH '${path}' AS far`)
    other.exec(`INSERT INTO far.users VALUES (1, 'a'); INSERT OR REPLACE INTO far.users VALUES (2, 'a')`)
    expect(logged()).toEqual(['1: 1', '1: 1', '1: 2'])
    other.close()
  })

  it('leaves counts, ids and the schema version of the application as they were', async () => {
    const { path, app } = createFile(twoTables)
    const before = introspect(app)
    const file = await openFile(path)
    await install(file)
    expect(introspect(app)).toEqual({ ...before, sizeBytes: expect.any(Number) })
    const { changes, lastInsertRowid } = app.prepare(`INSERT INTO users VALUES (40, 'a'), (41, 'b')`).run()
    expect([changes, lastInsertRowid]).toEqual([2, 41])
    app.exec('CREATE TABLE more(x)')
    expect(introspect(app).schemaVersion).toBe(before.schemaVersion + 1)
  })

  it('goes in steps through many tables, and goes on where it was broken off', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `t${i}`)
    const { path, app } = createFile(names.map((name) => `CREATE TABLE ${name}(id INTEGER PRIMARY KEY, x UNIQUE)`).join(';'))
    const tables = captureTables(Object.fromEntries(names.map((name) => [name, byColumns('id')])))
    const file = await openFile(path)
    const write = file.write.bind(file)
    let left = 2
    file.write = (...given) => (left-- > 0 ? write(...given) : Promise.reject(new RangeError('killed')))
    await expect(install(file, { tables })).rejects.toThrow('killed')
    expect(await file.read(watchSchema)).toMatchObject({ moved: true, added: names.slice(24) })
    left = 99
    await install(file, { tables })
    expect(await file.read(watchSchema)).toMatchObject({ moved: false, unarmed: [], added: [] })
    for (const name of names) app.exec(`INSERT INTO ${name} VALUES (1, 1)`)
    expect(logHead(file.db)).toBe(30n)
    await beginCut(file, options, { pauseMs: 60_000, schemaVersion: (await file.read(watchSchema)).schemaVersion })
    for (const name of names) expect(() => app.exec(`DELETE FROM ${name}`)).toThrow('tidemark')
    await seal(file, options, { drainedSeq: 30n })
    await openAgain(file, options)
    for (const name of names) app.exec(`UPDATE ${name} SET x = 2`)
    expect(logHead(file.db)).toBe(60n)
  })

  it('is not for a file that is cut', async () => {
    const { file, hold } = await captureFile(twoTables, keys)
    await beginCut(file, hold, { pauseMs: 60_000, schemaVersion: (await file.read(watchSchema)).schemaVersion })
    await seal(file, hold, { drainedSeq: 0n })
    expect((await refusal(() => install(file))).code).toBe('TM_MOVE_NOT_ALLOWED')
  })

  it('counts on from the head where the log is not empty', async () => {
    const { app, file } = await captureFile(twoTables, keys)
    app.exec(`INSERT INTO users VALUES (1, 'a'), (2, 'b')`)
    expect(logHead(file.db)).toBe(2n)
    expect((await install(file)).head).toBe(2n)
  })
})
