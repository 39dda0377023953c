import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { isTidemarkError, type TidemarkError } from '../../../errors.js'
import type { CaptureDatabase, CaptureHold, CaptureTable, LogKey } from '../capture.js'
import { openCaptureDatabase } from '../capture-database.js'
import { installCapture } from '../install.js'
import { readLog } from '../log.js'

export interface CapturedFile {
  readonly path: string
  readonly folder: string
  /** The application's connection. */
  readonly app: Sqlite.Database
  readonly file: CaptureDatabase
  readonly hold: CaptureHold
  /** Keys logged since the last call, each as `number of the table: values`. */
  logged(): readonly string[]
}

const made: (() => void)[] = []

/** Closes and removes everything that was made here. */
export const removeFiles = (): void => {
  for (const remove of made.splice(0)) remove()
}

export const createFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-capture-'))
  made.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export type PlainFile = Pick<CapturedFile, 'path' | 'folder' | 'app'>

export const createFile = (sql: string, journal: 'DELETE' | 'WAL' = 'WAL', folder = createFolder()): PlainFile => {
  const path = join(folder, 'app.db')
  const app = new Sqlite(path, { timeout: 1000 })
  made.unshift(() => app.close())
  // Nothing here outlives the machine, so that nothing waits for its disk.
  app.exec(`PRAGMA synchronous = OFF; PRAGMA journal_mode = ${journal}; ${sql}`)
  return { path, folder, app }
}

export const openFile = async (path: string, busyTimeoutMs = 2000): Promise<CaptureDatabase> => {
  const file = await openCaptureDatabase(path, { busyTimeoutMs })
  made.unshift(() => file.close())
  return file
}

export const byColumns = (...columns: string[]): LogKey => ({ kind: 'columns', columns })
export const byRowid = (name = 'rowid'): LogKey => ({ kind: 'rowid', name })
export const captureTables = (keys: Readonly<Record<string, LogKey>>): readonly CaptureTable[] =>
  Object.entries(keys).map(([name, key], i) => ({ id: i + 1, name, key }))

export const runId = 'run-1'

/** A file with a capture on the tables named. */
export const captureFile = async (
  sql: string,
  keys: Readonly<Record<string, LogKey>>,
  journal: 'DELETE' | 'WAL' = 'WAL',
): Promise<CapturedFile> => {
  const { path, folder, app } = createFile(sql, journal)
  const file = await openFile(path)
  file.db.pragma('synchronous = OFF')
  const hold = { captureId: 'capture-1', epoch: 1n }
  await installCapture(file, { runId, ...hold, tables: captureTables(keys) })
  let after = 0n
  const logged = (): readonly string[] => {
    const entries = readLog(file.db, { after, limit: 10_000 })
    after = entries.at(-1)?.seq ?? after
    return entries.map(({ table, key }) => `${table}: ${key === null ? '-' : key.join(', ')}`)
  }
  return { path, folder, app, file, hold, logged }
}

/** The error that a promise or call ends with. */
export const refusal = async (run: () => unknown): Promise<TidemarkError> => {
  try {
    await run()
  } catch (error) {
    if (isTidemarkError(error)) return error
    throw error
  }
  throw new Error('nothing was raised')
}
