import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ErrorCode, isTidemarkError, TidemarkError } from '../errors.js'
import { introspect } from './introspect.js'
import { openSqlite, sqliteLibraryVersion } from './open.js'
import type { SqliteFile } from './sqlite.js'
import { toSqliteError } from './sqlite-error.js'

let root: string
let dir: string
let count = 0

beforeAll(() => {
  // Before any other database is opened in this process: it decides whether names may be URIs.
  sqliteLibraryVersion()
  root = mkdtempSync(join(tmpdir(), 'tidemark-sqlite-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
beforeEach(() => {
  dir = join(root, String(++count))
  mkdirSync(dir)
})

const path = (name = 'app.db') => join(dir, name)
const open = (file = path(), busyTimeoutMs = 50): SqliteFile => openSqlite(file, { readonly: true, busyTimeoutMs })

const create = (sql: string, file = path()): Sqlite.Database => {
  const db = new Sqlite(file)
  db.exec(sql)
  return db
}

const rows = (n: number) =>
  `CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);
   WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${n}) INSERT INTO t SELECT i, hex(randomblob(40)) FROM c;`

const createClosed = (sql: string, file = path()): void => void create(sql, file).close()

const refusal = (run: () => unknown): TidemarkError => {
  try {
    run()
  } catch (error) {
    if (isTidemarkError(error)) return error
    throw error
  }
  throw new Error('nothing was raised')
}

const expectCode = (run: () => unknown, code: ErrorCode): TidemarkError => {
  const error = refusal(run)
  expect(error.code).toBe(code)
  return error
}

describe('openSqlite reads', () => {
  it('a file that another connection writes at the same time, in WAL mode and in rollback mode', () => {
    for (const mode of ['WAL', 'DELETE']) {
      const file = path(`${mode}.db`)
      const writer = create(`PRAGMA journal_mode = ${mode}; CREATE TABLE t(x); INSERT INTO t VALUES (1)`, file)
      const reader = open(file)
      expect(reader.db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(1)
      writer.exec('INSERT INTO t VALUES (2)')
      expect(reader.db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(2)
      reader.close()
      writer.close()
    }
  })

  it('rows that stand only in the WAL', () => {
    const writer = create('PRAGMA journal_mode = WAL; CREATE TABLE t(x); PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (7)')
    copyFileSync(path(), path('copy.db'))
    copyFileSync(`${path()}-wal`, `${path('copy.db')}-wal`)
    writer.close()
    const reader = open(path('copy.db'))
    expect(reader.db.prepare('SELECT x FROM t').pluck().get()).toBe(7)
    reader.close()
  })

  it('without changing a byte of the file, of its journal mode or of its WAL', () => {
    const writer = create(`PRAGMA journal_mode = WAL; ${rows(500)}`)
    const hash = (name: string) => createHash('sha256').update(readFileSync(name)).digest('hex')
    const before = [hash(path()), hash(`${path()}-wal`)]
    const reader = open()
    introspect(reader.db)
    expect(() => reader.db.exec('INSERT INTO t(x) VALUES (1)')).toThrow(/readonly/)
    expect(() => reader.db.exec('CREATE TABLE u(x)')).toThrow(/readonly/)
    reader.close()
    expect([hash(path()), hash(`${path()}-wal`)]).toEqual(before)
    writer.close()
    expect(statSync(path()).size).toBeGreaterThan(0)
  })

  it('a file with a name that looks like a URI or holds odd characters', () => {
    for (const name of ['file:app.db', 'a b?mode=rw#x%20.db', ' blank.db ', 'ünïcode 数.db']) {
      createClosed('CREATE TABLE t(x)', pathToFileURL(path(name)).href)
      const reader = open(path(name))
      expect(introspect(reader.db).tables).toHaveLength(1)
      reader.close()
    }
  })

  it('tells the file apart by inode, device and size', () => {
    createClosed('CREATE TABLE t(x)')
    const reader = open()
    const { ino, dev, size } = statSync(path(), { bigint: true })
    expect(reader.fileId).toEqual({ inode: String(ino), device: String(dev), sizeBytes: Number(size) })
    expect(reader.path).toBe(path())
    expect(reader.sqliteVersion).toMatch(/^3\.\d+/)
    reader.close()
  })

  it('a valid file without tables', () => {
    createClosed('PRAGMA user_version = 3')
    const reader = open()
    expect(introspect(reader.db)).toMatchObject({ tables: [], userVersion: 3 })
    reader.close()
  })

  it('the rest of a catalogue in which one entry cannot be parsed', () => {
    const db = create('CREATE TABLE good(a); INSERT INTO good VALUES (5); CREATE TABLE bad(b)')
    db.unsafeMode(true)
    db.pragma('writable_schema = ON')
    db.exec(`UPDATE sqlite_schema SET sql = 'CREATE TABLE bad(b FROBNICATE(' WHERE name = 'bad'`)
    db.close()
    const reader = open()
    const schema = introspect(reader.db)
    expect(schema.tables.map((table) => table.name)).toEqual(['good'])
    expect(schema.unreadable).toEqual([{ type: 'table', name: 'bad', reason: expect.stringContaining('cannot parse') }])
    expect(reader.db.prepare('SELECT a FROM good').pluck().get()).toBe(5)
    expect(() => reader.db.exec('DELETE FROM good')).toThrow(/readonly/)
    reader.close()
  })
})

describe('openSqlite refuses', () => {
  it('a missing file, naming the nearest one', () => {
    createClosed('CREATE TABLE t(x)', path('customers.db'))
    expect(expectCode(() => open(path('custmers.db')), 'TM_SQLITE_NOT_FOUND').fix).toContain('customers.db')
    expect(expectCode(() => open(path('zzz/app.db')), 'TM_SQLITE_NOT_FOUND').fix).toContain('folder does not exist')
    expect(expectCode(() => open(path('quite-another.sqlite3')), 'TM_SQLITE_NOT_FOUND').fix).toBe('Check the path.')
    expectCode(() => open(path('customers.db/inside.db')), 'TM_SQLITE_NOT_FOUND')
  })

  it('a folder, and what is no regular file', () => {
    expect(expectCode(() => open(dir), 'TM_SQLITE_NOT_A_DATABASE').message).toContain('folder')
    expect(expectCode(() => open('/dev/null'), 'TM_SQLITE_NOT_A_DATABASE').message).toContain('no regular file')
  })

  it('an empty file', () => {
    writeFileSync(path(), '')
    expectCode(() => open(), 'TM_SQLITE_EMPTY')
  })

  it('a WAL whose main file is missing or empty', () => {
    writeFileSync(`${path()}-wal`, randomBytes(100))
    expectCode(() => open(), 'TM_SQLITE_WAL_ONLY')
    writeFileSync(path(), '')
    expect(expectCode(() => open(), 'TM_SQLITE_WAL_ONLY').message).toContain('app.db-wal')
  })

  it('what is something else, saying what it looks like', () => {
    const cases: [string, string | Buffer, RegExp][] = [
      ['text', 'dear diary, this is not a database\n'.repeat(50), /text file/],
      ['noise', randomBytes(8192), /noise, as an encrypted file/],
      ['dump', 'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(x);\n', /SQL text/],
      ['gzip', Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), randomBytes(4096)]), /gzip/],
      ['zip', Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), randomBytes(4096)]), /ZIP/],
      ['zeros', Buffer.alloc(4096), /nothing but zeros/],
      ['sqlite2', '** This file contains an SQLite 2.1 database **', /SQLite 2/],
      ['other', Buffer.from([0, 1, 2, 3, 4, 5]), /does not begin with/],
    ]
    for (const [name, content, reason] of cases) {
      writeFileSync(path(name), content)
      expect(expectCode(() => open(path(name)), 'TM_SQLITE_NOT_A_DATABASE').message, name).toMatch(reason)
    }
  })

  it('a truncated file, saying how much is missing', () => {
    createClosed(rows(2000))
    const size = statSync(path()).size
    truncateSync(path(), size - 4096 * 5)
    expect(expectCode(() => open(), 'TM_SQLITE_CORRUPT').message).toContain(`should have ${size} bytes`)
    truncateSync(path(), 60)
    expect(expectCode(() => open(), 'TM_SQLITE_CORRUPT').message).toContain('ends after 60 bytes')
  })

  it('a file in a later form', () => {
    createClosed('CREATE TABLE t(x)')
    const patch = (offset: number, bytes: Buffer) => {
      const fd = openSync(path(), 'r+')
      writeSync(fd, bytes, 0, bytes.length, offset)
      closeSync(fd)
    }
    patch(18, Buffer.from([3, 3]))
    expect(expectCode(() => open(), 'TM_SQLITE_FORMAT').message).toContain('read version 3')
    patch(18, Buffer.from([1, 1]))
    patch(44, Buffer.from([0, 0, 0, 9]))
    expectCode(() => open(), 'TM_SQLITE_FORMAT')
  })

  it('a file that another connection holds exclusively, after the time given', () => {
    const writer = create('CREATE TABLE t(x)')
    writer.exec('BEGIN EXCLUSIVE')
    const startedMs = performance.now()
    const error = expectCode(() => open(path(), 120), 'TM_SQLITE_LOCKED')
    expect(performance.now() - startedMs).toBeGreaterThan(100)
    expect(error.message).toContain('120 ms')
    expect(error.retryable).toBe(true)
    writer.exec('COMMIT')
    open().close()
    writer.close()
  })

  it('a file with a hot journal, which only a writer may roll back', async () => {
    createClosed(`${rows(3000)}`)
    // A process that dies in the middle of a write leaves its journal behind.
    const script = `
      const db = new (require('better-sqlite3'))(process.argv[1])
      db.pragma('cache_size = 2'); db.pragma('cache_spill = ON')
      db.exec("BEGIN; UPDATE t SET x = x || 'changed'"); process.kill(process.pid, 'SIGKILL')`
    await new Promise((done) => spawn(process.execPath, ['-e', script, path()], { cwd: import.meta.dirname }).once('exit', done))
    expect(statSync(`${path()}-journal`).size).toBeGreaterThan(0)
    const before = readFileSync(path())
    expect(expectCode(() => open(), 'TM_SQLITE_HOT_JOURNAL').message).toContain('app.db-journal')
    expect(readFileSync(path()).equals(before)).toBe(true)
    new Sqlite(path()).exec('SELECT * FROM t').close()
    open().close()
  })
})

describe('as a user without rights', () => {
  // Only root can become somebody else and come back.
  const possible = process.getuid?.() === 0 && isMainThread
  const asNobody = <T>(run: () => T): T => {
    process.setegid?.(65534)
    process.seteuid?.(65534)
    try {
      return run()
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
  }
  const countAsNobody = (file: string) =>
    asNobody(() => {
      const opened = open(file)
      const count = opened.db.prepare('SELECT count(*) FROM t').pluck().get()
      opened.close()
      return { count, unchanging: opened.assumedUnchanging }
    })

  beforeEach(() => {
    chmodSync(root, 0o755)
    chmodSync(dir, 0o755)
  })

  it.skipIf(!possible)('names the missing right', () => {
    createClosed('CREATE TABLE t(x)')
    chmodSync(path(), 0o600)
    expectCode(() => asNobody(() => open()), 'TM_SQLITE_PERMISSION')
    mkdirSync(path('closed'), { mode: 0o700 })
    createClosed('CREATE TABLE t(x)', path('closed/app.db'))
    expectCode(() => asNobody(() => open(path('closed/app.db'))), 'TM_SQLITE_PERMISSION')
  })

  it.skipIf(!possible)('reads a file of a folder it may not write, in either journal mode', () => {
    createClosed('CREATE TABLE t(x); INSERT INTO t VALUES (1)', path('rollback.db'))
    createClosed('PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)', path('wal.db'))
    expect(countAsNobody(path('rollback.db'))).toEqual({ count: 1, unchanging: false })
    expect(countAsNobody(path('wal.db'))).toEqual({ count: 1, unchanging: true })
    const writer = create('INSERT INTO t VALUES (2)', path('wal.db'))
    for (const suffix of ['-wal', '-shm']) chmodSync(path(`wal.db${suffix}`), 0o644)
    expect(countAsNobody(path('wal.db'))).toEqual({ count: 2, unchanging: false })
    writer.close()
  })
})

describe('toSqliteError', () => {
  const failing = (code: string, message = 'x') =>
    toSqliteError(new Sqlite.SqliteError(message, code), '/a.db', { busyTimeoutMs: 9 }).code

  it('gives every SQLite code its place in the error table', () => {
    const cases: [string, ErrorCode][] = [
      ['SQLITE_CORRUPT', 'TM_SQLITE_CORRUPT'],
      ['SQLITE_CORRUPT_INDEX', 'TM_SQLITE_CORRUPT'],
      ['SQLITE_NOTADB', 'TM_SQLITE_NOT_A_DATABASE'],
      ['SQLITE_BUSY', 'TM_SQLITE_LOCKED'],
      ['SQLITE_BUSY_SNAPSHOT', 'TM_SQLITE_LOCKED'],
      ['SQLITE_LOCKED', 'TM_SQLITE_LOCKED'],
      ['SQLITE_IOERR_READ', 'TM_SQLITE_IO'],
      ['SQLITE_FULL', 'TM_SQLITE_IO'],
      ['SQLITE_CANTOPEN', 'TM_SQLITE_PERMISSION'],
      ['SQLITE_PERM', 'TM_SQLITE_PERMISSION'],
      ['SQLITE_READONLY', 'TM_SQLITE_PERMISSION'],
      ['SQLITE_READONLY_ROLLBACK', 'TM_SQLITE_HOT_JOURNAL'],
      ['SQLITE_SCHEMA', 'TM_SQLITE_IO'],
    ]
    for (const [code, expected] of cases) expect(failing(code), code).toBe(expected)
    expect(failing('SQLITE_ERROR', 'no such module: vec0')).toBe('TM_SQLITE_BUSY_SCHEMA')
    expect(failing('SQLITE_ERROR', 'unsupported file format')).toBe('TM_SQLITE_FORMAT')
  })

  it('leaves its own errors alone and keeps the cause of others', () => {
    const own = new TidemarkError('TM_SQLITE_EMPTY', { path: '/a.db' })
    expect(toSqliteError(own, '/a.db')).toBe(own)
    const strange = new TypeError('boom')
    expect(toSqliteError(strange, '/a.db')).toMatchObject({ code: 'TM_INTERNAL', cause: strange })
    const cause = new Sqlite.SqliteError('locked', 'SQLITE_BUSY')
    expect(toSqliteError(cause, '/a.db').cause).toBe(cause)
  })
})
