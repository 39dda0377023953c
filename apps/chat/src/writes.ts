/** Where the app writes. */
import type { Pool, Position } from 'tidemark'
import type { Db } from './rows.js'

export interface Written<T> {
  readonly result: T
  /** For reads that have to see this write, where it is known. */
  readonly position?: Position
}

export interface ChatWrites {
  /** Runs `fn` in one transaction. */
  write<T>(fn: (db: Db) => Promise<T>): Promise<Written<T>>
}

export const createRepositoryWrites = (pool: Pick<Pool, 'transaction'>): ChatWrites => ({
  write: async (fn) => ({ result: await pool.transaction(fn) }),
})
