/** Where the app writes. */
import type { Pool } from 'tidemark'
import type { WrittenAt } from 'tidemark/app'
import type { Db } from './rows.js'

export interface ChatWrites {
  /** Runs `fn` in one transaction. */
  write<T>(fn: (db: Db) => Promise<T>): Promise<WrittenAt<T>>
}

export const createRepositoryWrites = (pool: Pick<Pool, 'transaction'>): ChatWrites => ({
  write: async (fn) => ({ result: await pool.transaction(fn) }),
})
