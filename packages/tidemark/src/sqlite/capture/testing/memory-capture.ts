import Sqlite from 'better-sqlite3'
import type { SqliteDatabase } from '../../sqlite.js'
import type { CaptureDatabase } from '../capture.js'

/** A database in memory behind the interface of a captured file; nobody else has it, so nothing is waited for. */
export const createMemoryCapture = (): CaptureDatabase => {
  const db = new Sqlite(':memory:')
  const run = async <T>(begin: string, work: (db: SqliteDatabase) => T): Promise<T> => {
    db.exec(begin)
    try {
      const result = work(db)
      db.exec('COMMIT')
      return result
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
  return {
    path: ':memory:',
    db,
    fileId: { inode: '0', device: '0', sizeBytes: 0 },
    read: (work) => run('BEGIN', work),
    write: (work) => run('BEGIN IMMEDIATE', work),
    close: () => db.close(),
  }
}
