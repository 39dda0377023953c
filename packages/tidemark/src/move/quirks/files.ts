import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import type { Database } from 'better-sqlite3'
import type { Quirk } from './quirk.js'

const fill = (database: Database, rows = 2000): void => {
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
  const insert = database.prepare('INSERT INTO t (v) VALUES (?)')
  database.transaction(() => {
    for (let i = 0; i < rows; i++) insert.run(`row ${i} ${'x'.repeat(100)}`)
  })()
}

const overwrite = (path: string, at: number, bytes: Buffer): void => {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, at)
  closeSync(file)
}

/** Files that are damaged, unfinished, or no databases. */
export const fileQuirks: readonly Quirk[] = [
  {
    name: 'rows that stand only in the WAL',
    heldOpen: true,
    make: (database) => {
      database.pragma('journal_mode = WAL')
      database.pragma('wal_autocheckpoint = 0')
      fill(database)
    },
    expect: { account: { t: { rows: 2000 } } },
  },
  {
    name: 'a file in WAL mode that was closed',
    make: (database) => {
      database.pragma('journal_mode = WAL')
      fill(database)
    },
    expect: { account: { t: { rows: 2000 } } },
  },
  {
    name: 'a writer in the middle of a transaction: its rows are not there yet',
    heldOpen: true,
    make: (database) => {
      database.pragma('journal_mode = WAL')
      fill(database, 10)
      database.exec("BEGIN IMMEDIATE; INSERT INTO t (v) VALUES ('uncommitted')")
    },
    expect: { account: { t: { rows: 10 } } },
  },
  {
    name: 'a file that is no database',
    make: 'CREATE TABLE t (x)',
    damage: (path) => writeFileSync(path, 'id,name\n1,Ann\n'.repeat(200)),
    expect: { error: { code: 'TM_SQLITE_NOT_A_DATABASE' } },
  },
  {
    name: 'an encrypted file reads as noise',
    make: 'CREATE TABLE t (x)',
    damage: (path) =>
      writeFileSync(path, Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 7919 + (i >> 3) * 104_729) & 255))),
    expect: { error: { code: 'TM_SQLITE_NOT_A_DATABASE' } },
  },
  {
    name: 'a file of no bytes',
    make: 'CREATE TABLE t (x)',
    damage: (path) => truncateSync(path, 0),
    expect: { error: { code: 'TM_SQLITE_EMPTY' } },
  },
  { name: 'a database without tables', make: 'CREATE TABLE t (x); DROP TABLE t', expect: { error: { code: 'TM_SQLITE_EMPTY' } } },
  {
    name: 'a file that is gone',
    make: 'CREATE TABLE t (x)',
    damage: unlinkSync,
    expect: { error: { code: 'TM_SQLITE_NOT_FOUND' } },
  },
  {
    name: 'a file cut off at half its length',
    make: (database) => fill(database),
    damage: (path) => truncateSync(path, statSync(path).size >> 1),
    expect: { error: { code: 'TM_SQLITE_CORRUPT' } },
  },
  {
    name: 'a page in the middle overwritten with noise',
    make: (database) => fill(database),
    damage: (path) => overwrite(path, 4096 * 20, Buffer.alloc(4096, 0x5a)),
    expect: { error: { code: 'TM_SQLITE_CORRUPT' } },
  },
  {
    name: 'only a WAL is left beside the name',
    make: (database) => fill(database, 5),
    damage: (path) => {
      copyFileSync(path, `${path}-wal`)
      unlinkSync(path)
    },
    expect: { error: { code: 'TM_SQLITE_WAL_ONLY' } },
  },
  {
    name: 'bytes after the end of the database',
    make: (database) => fill(database, 5),
    damage: (path) => appendFileSync(path, Buffer.alloc(4096)),
    expect: { account: { t: { rows: 5 } } },
  },
  {
    name: 'a file with another ending and pages of 512 bytes',
    make: (database) => {
      database.pragma('page_size = 512')
      fill(database, 50)
    },
    damage: (path) => {
      renameSync(path, `${path}.x`)
      renameSync(`${path}.x`, path)
    },
    expect: { account: { t: { rows: 50 } } },
  },
]
