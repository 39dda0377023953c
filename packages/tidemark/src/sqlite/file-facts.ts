import { type BigIntStats, closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { TidemarkError } from '../errors.js'
import type { SqliteFileId } from './sqlite.js'
import { foldAscii } from './tokenize.js'

const headBytes = 8192
const magic = 'SQLite format 3\0'

const systemCode = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

/** Edit distance of two short names, letter case left aside. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1]?.toLowerCase() === b[j - 1]?.toLowerCase() ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** ` (near it stands …)` for the name in the same folder that comes nearest, or nothing. */
const nearest = (path: string): string => {
  const wanted = basename(path)
  let names: string[] = []
  try {
    names = readdirSync(dirname(path)).slice(0, 5000)
  } catch {
    return ' (its folder does not exist or cannot be listed)'
  }
  const [best] = names
    .filter((name) => !/-(?:wal|shm|journal)$/.test(name))
    .map((name) => ({ name, edits: distance(name, wanted) }))
    .filter(({ edits }) => edits <= Math.max(2, Math.floor(wanted.length / 3)))
    .sort((a, b) => a.edits - b.edits)
  return best ? ` (near it stands ${best.name})` : ''
}

/** Size of a file beside the database, or 0 where there is none. */
const sizeBeside = (path: string): number => {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

const statOf = (path: string): BigIntStats => {
  try {
    return statSync(path, { bigint: true })
  } catch (error) {
    const code = systemCode(error)
    const wal = `${path}-wal`
    if (code === 'ENOENT' && sizeBeside(wal) > 0) throw new TidemarkError('TM_SQLITE_WAL_ONLY', { path, wal })
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new TidemarkError('TM_SQLITE_NOT_FOUND', { path, suggestion: nearest(path) })
    throw new TidemarkError('TM_SQLITE_PERMISSION', { path, reason: code || 'it cannot be looked at' }, { cause: error })
  }
}

const readHead = (path: string): Buffer => {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const head = Buffer.alloc(headBytes)
    return head.subarray(0, readSync(file, head, 0, headBytes, 0))
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EACCES' || code === 'EPERM')
      throw new TidemarkError('TM_SQLITE_PERMISSION', { path, reason: 'this user may not read it' }, { cause: error })
    throw new TidemarkError('TM_SQLITE_IO', { path, reason: code || String(error) }, { cause: error })
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** First bytes (as Latin-1, any letter case) and what they tell. */
const knownForms: readonly (readonly [prefix: string, meaning: string])[] = [
  ['** this file contains an sqlite 2', 'it was written by SQLite 2'],
  ...['pragma ', 'begin transaction', 'create table', '-- '].map(
    (prefix) => [prefix, 'it is SQL text; load it into a database first (`sqlite3 app.db < dump.sql`)'] as const,
  ),
  ['pgdmp', 'it is a dump of Postgres'],
  ['\x1f\x8b', 'it is compressed with gzip; unpack it first'],
  ['pk\x03\x04', 'it is a ZIP archive; unpack it first'],
  ...['\x28\xb5\x2f\xfd', 'bzh', '\xfd7zxz', '7z\xbc\xaf'].map(
    (prefix) => [prefix, 'it is compressed; unpack it first'] as const,
  ),
]

/** Bits of information per byte: near 8 for noise, about 4 to 5 for text. */
const entropyBits = (bytes: Uint8Array): number => {
  const counts = new Float64Array(256)
  for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1
  return counts.reduce((bits, count) => (count === 0 ? bits : bits - (count / bytes.length) * Math.log2(count / bytes.length)), 0)
}

/** What a file that lacks SQLite's first sixteen bytes looks like. */
const describeForeign = (head: Buffer): string => {
  const start = foldAscii(head.toString('latin1', 0, 64))
  const known = knownForms.find(([prefix]) => start.startsWith(prefix))
  if (known) return known[1]
  if (head.every((byte) => byte === 0)) return 'it begins with nothing but zeros'
  const printable = head.filter((byte) => byte >= 32 || byte === 9 || byte === 10 || byte === 13).length / head.length
  if (printable > 0.95 && !head.includes(0) && entropyBits(head) < 6.5) return 'it is a text file'
  // 512 random bytes already hold about 7.6 bits a byte; real page content hardly ever passes 7.
  if (head.length >= 512 && entropyBits(head) > 7.3) return 'its content is noise, as an encrypted file is'
  return 'it does not begin with "SQLite format 3"'
}

const checkHeader = (path: string, head: Buffer, sqliteVersion: string): void => {
  if (head.toString('latin1', 0, 16) !== magic)
    throw new TidemarkError('TM_SQLITE_NOT_A_DATABASE', { path, reason: describeForeign(head) })
  if (head.length < 100) throw new TidemarkError('TM_SQLITE_CORRUPT', { path, reason: `it ends after ${head.length} bytes` })
  const readVersion = head.readUInt8(19)
  if (readVersion > 2) {
    const reason = `its header asks for read version ${readVersion}`
    throw new TidemarkError('TM_SQLITE_FORMAT', { path, version: sqliteVersion, reason })
  }
}

/** Where the header knows the size and the file is shorter, what is missing; null otherwise. */
export const describeTruncation = (path: string): string | null => {
  const head = readHead(path)
  if (head.length < 100 || head.readUInt32BE(24) !== head.readUInt32BE(92)) return null
  const pageSizeBytes = head.readUInt16BE(16) === 1 ? 65_536 : head.readUInt16BE(16)
  const expected = head.readUInt32BE(28) * pageSizeBytes
  const size = statSync(path).size
  return size < expected ? `it should have ${expected} bytes and has ${size}: its end is missing` : null
}

export const fileIdOf = (path: string): SqliteFileId => {
  const { ino, dev, size } = statOf(path)
  return { inode: String(ino), device: String(dev), sizeBytes: Number(size) }
}

/**
 * Looks at the file without SQLite and raises what SQLite would say less clearly: no file, a folder, empty, something else, too new.
 */
export const inspectFile = (path: string, sqliteVersion: string): void => {
  const stats = statOf(path)
  if (stats.isDirectory()) throw new TidemarkError('TM_SQLITE_NOT_A_DATABASE', { path, reason: 'it is a folder' })
  if (!stats.isFile()) throw new TidemarkError('TM_SQLITE_NOT_A_DATABASE', { path, reason: 'it is no regular file' })
  const wal = `${path}-wal`
  if (stats.size === 0n && sizeBeside(wal) > 0) throw new TidemarkError('TM_SQLITE_WAL_ONLY', { path, wal })
  const head = readHead(path)
  if (stats.size === 0n) throw new TidemarkError('TM_SQLITE_EMPTY', { path })
  checkHeader(path, head, sqliteVersion)
}

/** True where nothing that SQLite keeps beside an open or unfinished file stands there, so nobody can have it open in WAL mode. */
export const standsAlone = (path: string): boolean =>
  ['-wal', '-shm', '-journal'].every((suffix) => sizeBeside(path + suffix) === 0)
