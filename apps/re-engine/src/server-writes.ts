/** Writes of the server's own, past the policies; reads that bring their position see them. */
import type { Cache, Definitions } from 'tidemark'
import type { WrittenAt } from 'tidemark/app'
import type { Caller } from './access.js'
import { refusing } from './engine-error.js'
import type { Db } from './rows.js'

export interface ServerWriteOptions {
  /** What caches that are the same on all nodes lose by it; see docs/cache.md. */
  readonly touches?: readonly string[]
  /** Who asked for it, for the audit. */
  readonly caller?: Caller
  readonly requestId?: string
}

export interface ServerWrites {
  /** In one transaction. */
  write<T>(fn: (db: Db) => Promise<T>, options?: ServerWriteOptions): Promise<WrittenAt<T>>
}

const named = `select set_config('request.jwt.claims', $1, true), set_config('tidemark.request_id', $2, true)`

export const createServerWrites = ({ write }: Pick<Cache<Definitions>, 'write'>): ServerWrites => ({
  write: (fn, { touches = [], caller, requestId = '' } = {}) => {
    const work = async (db: Db) => {
      if (caller) await db.query(named, [JSON.stringify({ role: caller.role, ...caller.claims }), requestId])
      return fn(db)
    }
    return refusing(write(work, { touches }))
  },
})
