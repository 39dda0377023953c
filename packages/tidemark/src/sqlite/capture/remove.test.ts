import { copyFileSync, renameSync, rmSync } from 'node:fs'
import type Sqlite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { beginCut, seal } from './cut.js'
import { checkIdentity } from './identity.js'
import { logHead } from './log.js'
import { removeCapture } from './remove.js'
import { byColumns, byRowid, captureFile, createFile, openFile, refusal, removeFiles } from './testing/captured-file.js'
import { watchSchema } from './watch.js'

afterEach(removeFiles)

const sql = `CREATE TABLE a(id INTEGER PRIMARY KEY, x UNIQUE); CREATE UNIQUE INDEX low ON a(lower(x)); CREATE TABLE b(x);
  CREATE TRIGGER mine AFTER INSERT ON a BEGIN INSERT INTO b VALUES (NEW.x); END`
const keys = { a: byColumns('id'), b: byRowid() }
const schemaOf = (db: Sqlite.Database) => db.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').all()

describe('removeCapture', () => {
  it.each(['DELETE', 'WAL'] as const)('leaves no trace, from any state (%s)', async (journal) => {
    for (const state of ['open', 'cutting', 'cut']) {
      const captured = await captureFile(sql, keys, journal)
      const { app, file, hold } = captured
      const before = schemaOf(app).filter((row) => !(row as { name: string }).name.startsWith('_tidemark_'))
      app.exec(`INSERT INTO a VALUES (1, 'x'); ANALYZE`)
      if (state !== 'open') {
        const watch = watchSchema(file.db)
        // ANALYZE made tables of its own, which a look takes note of.
        if (watch.moved) await (await import('./install.js')).rearm(file, hold, { watch, tables: [] })
        await beginCut(file, hold, { pauseMs: 60_000, schemaVersion: watch.schemaVersion })
      }
      if (state === 'cut') await seal(file, hold, { drainedSeq: logHead(file.db) })
      expect(await removeCapture(file, { hold })).toEqual([])
      expect(schemaOf(app).filter((row) => !(row as { name: string }).name.startsWith('sqlite_stat'))).toEqual(before)
      expect(app.prepare(`SELECT count(*) FROM sqlite_stat1 WHERE tbl LIKE '%tidemark%'`).pluck().get()).toBe(0)
      app.exec(`INSERT INTO a VALUES (2, 'y')`)
      expect(app.prepare('SELECT count(*) FROM b').pluck().get()).toBe(2)
      expect(await removeCapture(file, { hold })).toEqual([])
      removeFiles()
    }
  })

  it('takes out what another version of Tidemark left, by its name', async () => {
    const { path, app } = createFile(sql)
    const before = schemaOf(app)
    app.exec(`CREATE TABLE _tidemark_control(anything); CREATE TABLE _tidemark_odd(k PRIMARY KEY, v) WITHOUT ROWID;
      INSERT INTO _tidemark_odd VALUES (1, 2); CREATE TABLE _TIDEMARK_Triggers(x); CREATE VIEW _tidemark_view AS SELECT 1;
      CREATE INDEX _tidemark_index ON a(x); CREATE TRIGGER _tidemark_old AFTER INSERT ON b BEGIN SELECT RAISE(ABORT, 'no'); END`)
    await removeCapture(await openFile(path))
    expect(schemaOf(app)).toEqual(before)
  })

  it('removes a large log in short steps', async () => {
    const { app, file } = await captureFile('CREATE TABLE t(x)', { t: byRowid() })
    app.exec('WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9000) INSERT INTO t SELECT i FROM c')
    let transactions = 0
    const write = file.write.bind(file)
    file.write = (...given) => {
      transactions++
      return write(...given)
    }
    await removeCapture(file)
    expect(transactions).toBeGreaterThan(6)
    expect(schemaOf(app)).toHaveLength(1)
  })

  it('is not for a process that was overtaken', async () => {
    const { app, file, hold } = await captureFile(sql, keys)
    app.exec('UPDATE _tidemark_control SET epoch = 9')
    expect((await refusal(() => removeCapture(file, { hold }))).code).toBe('TM_MOVE_FENCED')
    await removeCapture(file)
    expect(schemaOf(app)).toHaveLength(5)
  })

  it('leaves a file alone that has none', async () => {
    const { path, app } = createFile(sql)
    const before = schemaOf(app)
    await removeCapture(await openFile(path), { hold: { captureId: 'x', epoch: 1n } })
    expect(schemaOf(app)).toEqual(before)
  })
})

describe('checkIdentity', () => {
  it('knows the file that is followed', async () => {
    const { app, file, hold } = await captureFile(sql, keys)
    app.exec(`INSERT INTO a VALUES (1, 'x')`)
    checkIdentity(file, hold.captureId, logHead(file.db))
  })

  it('notices another file in its place, and that none is there', async () => {
    const { path, file, hold } = await captureFile(sql, keys, 'DELETE')
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
    expect(await refusal(() => checkIdentity(file, hold.captureId))).toMatchObject({
      code: 'TM_SQLITE_CHANGED',
      message: expect.stringContaining('another file has taken its place'),
    })
    rmSync(path)
    expect((await refusal(() => checkIdentity(file, hold.captureId))).message).toContain('no file stands at its path')
  })

  it('notices an older content in the same file', async () => {
    const { path, app, file, hold } = await captureFile(sql, keys, 'DELETE')
    const plain = createFile(sql, 'DELETE')
    app.exec(`INSERT INTO a VALUES (1, 'x')`)
    await app.backup(`${path}.older`)
    app.exec(`INSERT INTO a VALUES (2, 'y')`)
    const readSeq = logHead(file.db)
    app.exec('DELETE FROM _tidemark_log WHERE seq > 2')
    expect((await refusal(() => checkIdentity(file, hold.captureId, readSeq))).message).toContain(
      'an older copy was put in its place',
    )
    app.close()
    await plain.app.backup(path)
    expect((await refusal(() => checkIdentity(file, hold.captureId))).message).toContain('is gone')
  })

  it('notices the capture of another run', async () => {
    const { file } = await captureFile(sql, keys)
    expect((await refusal(() => checkIdentity(file, 'another'))).message).toContain('carries another capture')
    file.db.exec('UPDATE _tidemark_control SET layout = 77')
    expect((await refusal(() => checkIdentity(file, 'another'))).message).toContain('another version')
  })
})
