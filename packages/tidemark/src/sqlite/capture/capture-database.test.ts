import { chmodSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { openCaptureDatabase } from './capture-database.js'
import { createFile, createFolder, openFile, refusal, removeFiles } from './testing/captured-file.js'

afterEach(removeFiles)

const count = (db: Sqlite.Database) => db.prepare('SELECT count(*) FROM t').pluck().get()

describe('openCaptureDatabase', () => {
  it('waits for another writer with the event loop free, and then writes', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)')
    const file = await openFile(path)
    app.exec('BEGIN IMMEDIATE')
    let turns = 0
    const written = file.write((db) => db.exec('INSERT INTO t VALUES (1)'))
    while (turns < 20) {
      await setImmediate()
      turns++
    }
    expect(count(app)).toBe(0)
    app.exec('COMMIT')
    await written
    expect(count(app)).toBe(1)
  })

  it('gives up with TM_SQLITE_LOCKED when the time is over', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)')
    const file = await openFile(path)
    app.exec('BEGIN IMMEDIATE')
    const error = await refusal(() => file.write((db) => db.exec('INSERT INTO t VALUES (1)'), { timeoutMs: 60 }))
    expect(error).toMatchObject({ code: 'TM_SQLITE_LOCKED', retryable: true, parameters: { path, timeoutMs: 60 } })
    app.exec('ROLLBACK')
  })

  it('counts the time by its clock', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)')
    const clock = createFakeClock()
    const file = await openCaptureDatabase(path, { busyTimeoutMs: 50, clock })
    app.exec('BEGIN IMMEDIATE')
    const error = refusal(() => file.write((db) => db.exec('INSERT INTO t VALUES (1)')))
    while (clock.sleeping === 0) await setImmediate()
    await clock.advance(80)
    expect((await error).code).toBe('TM_SQLITE_LOCKED')
    app.exec('ROLLBACK')
    file.close()
  })

  it('stops waiting when it is told to', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)')
    const file = await openFile(path)
    app.exec('BEGIN IMMEDIATE')
    const controller = new AbortController()
    const written = file.write((db) => db.exec('INSERT INTO t VALUES (1)'), { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(written).rejects.toThrow('enough')
  })

  it('takes back what a failed transaction did', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)')
    const file = await openFile(path)
    const failing = file.write((db) => {
      db.exec('INSERT INTO t VALUES (1)')
      throw new RangeError('no')
    })
    await expect(failing).rejects.toThrow(RangeError)
    expect(count(app)).toBe(0)
    await file.write((db) => db.exec('INSERT INTO t VALUES (2)'))
    expect(count(app)).toBe(1)
  })

  it('lets readers go first where a commit has to wait for them, as with a rollback journal', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)', 'DELETE')
    const file = await openFile(path)
    const other = new Sqlite(path, { timeout: 0 })
    app.exec('BEGIN; SELECT * FROM t')
    count(app)
    const refused = await refusal(() => file.write((db) => db.exec('INSERT INTO t VALUES (1)'), { timeoutMs: 50 }))
    expect(refused.code).toBe('TM_SQLITE_LOCKED')
    expect(count(other)).toBe(0)
    app.exec('COMMIT')
    await file.write((db) => db.exec('INSERT INTO t VALUES (1)'))
    expect(count(other)).toBe(1)
    other.close()
  })

  it('reads in one transaction', async () => {
    const { path, app } = createFile('CREATE TABLE t(x)')
    const file = await openFile(path)
    const seen = await file.read((db) => {
      const before = count(db)
      app.exec('INSERT INTO t VALUES (1)')
      return [before, count(db)]
    })
    expect(seen).toEqual([0, 0])
  })

  it('writes durably, and without cascades of its own', async () => {
    const { path } = createFile('CREATE TABLE t(x)')
    const file = await openFile(path)
    const pragmas = ['foreign_keys', 'synchronous', 'recursive_triggers'].map((name) => file.db.pragma(name, { simple: true }))
    expect(pragmas).toEqual([0, 2, 0])
  })

  it('refuses what is no database, and files that are not there', async () => {
    expect((await refusal(() => openFile(`${createFolder()}/none.db`))).code).toBe('TM_SQLITE_NOT_FOUND')
    expect((await refusal(() => openFile(import.meta.filename))).code).toBe('TM_SQLITE_NOT_A_DATABASE')
  })

  it.runIf(process.geteuid?.() === 0).each([
    ['the file', 0o444, 0o777],
    ['its folder', 0o666, 0o555],
  ])('says so where this user may not write %s', async (_what, fileMode, folderMode) => {
    const { path, folder, app } = createFile('CREATE TABLE t(x)', 'DELETE')
    app.close()
    chmodSync(path, fileMode)
    chmodSync(folder, folderMode)
    process.seteuid?.(65534)
    try {
      const error = await refusal(() => openFile(path))
      expect(error).toMatchObject({ code: 'TM_SQLITE_READ_ONLY', exitCode: 1, parameters: { path } })
    } finally {
      process.seteuid?.(0)
    }
  })
})
