/** A new SQLite file under a name of its own, until it is whole. */
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Sqlite from 'better-sqlite3'
import { reasonOf, TidemarkError } from '../../errors.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { toSqliteError } from '../../sqlite/sqlite-error.js'
import type { SourceSql } from './source-sql.js'

const beside = ['', '-wal', '-shm', '-journal']

const exists = (path: string): TidemarkError => new TidemarkError('TM_MOVE_EXPORT_EXISTS', { path })

const sync = (path: string): void => {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const isTaken = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EEXIST'

export class NewFile {
  readonly path: string
  readonly #temporary: string
  readonly db: SqliteDatabase

  /** Raises TM_MOVE_EXPORT_EXISTS, TM_SQLITE_PERMISSION, TM_SQLITE_IO. */
  constructor(path: string, { encoding, pageSizeBytes, autoVacuum }: SourceSql) {
    if (beside.some((suffix) => existsSync(path + suffix))) throw exists(path)
    this.path = path
    this.#temporary = `${path}.${randomBytes(4).toString('hex')}.tidemark`
    try {
      this.db = new Sqlite(this.#temporary)
      for (const pragma of [
        `page_size = ${pageSizeBytes}`,
        `encoding = '${encoding}'`,
        `auto_vacuum = ${autoVacuum}`,
        // A crash leaves a file under a temporary name that nobody takes for the real one.
        'journal_mode = OFF',
        'synchronous = OFF',
        'foreign_keys = OFF',
        'cache_size = -16000',
        'temp_store = FILE',
      ])
        this.db.pragma(pragma)
    } catch (error) {
      this.discard()
      throw toSqliteError(error, path)
    }
  }

  /** Checks the file and gives it its name. Raises TM_MOVE_EXPORT_BROKEN, TM_MOVE_EXPORT_EXISTS. */
  finish({ userVersion, applicationId, journalMode }: SourceSql): void {
    const { db } = this
    db.pragma(`user_version = ${userVersion}`)
    db.pragma(`application_id = ${applicationId}`)
    const [finding] = db.prepare<[], string>('PRAGMA integrity_check(1)').pluck().all()
    if (finding !== 'ok') throw new TidemarkError('TM_MOVE_EXPORT_BROKEN', { reason: finding ?? 'it cannot be checked' })
    db.pragma(`journal_mode = ${journalMode === 'wal' ? 'WAL' : 'DELETE'}`)
    db.close()
    sync(this.#temporary)
    this.#name()
    sync(dirname(this.path))
  }

  #name(): void {
    if (beside.some((suffix) => existsSync(this.path + suffix))) throw exists(this.path)
    try {
      // A link fails where the name was taken meanwhile; a rename would write over it.
      linkSync(this.#temporary, this.path)
      rmSync(this.#temporary)
    } catch (error) {
      if (isTaken(error)) throw exists(this.path)
      renameSync(this.#temporary, this.path)
    }
  }

  /** Leaves nothing behind, unless it is finished. */
  discard(): void {
    try {
      this.db?.close()
    } finally {
      for (const suffix of beside) rmSync(this.#temporary + suffix, { force: true })
    }
  }

  /** Why a statement could not be run; undefined where it could. */
  attempt(sql: string): string | undefined {
    try {
      this.db.exec(sql)
      return undefined
    } catch (error) {
      return reasonOf(error)
    }
  }
}
