/** Requests act in Postgres as whoever sent them, so that row security decides what they see and change (C21, C76). */
import type { Cache, Definitions } from '../cache/create-cache.js'
import type { Position } from '../feed/position.js'
import type { Client, Pool, TransactionOptions } from '../postgres/postgres.js'
import type { WrittenAt } from './answer.js'
import type { Refusals } from './define-errors.js'

/** Whoever acts: a role of Postgres, and the claims that its policies read. */
export interface DatabaseCaller {
  readonly role: string
  readonly claims: Readonly<Record<string, unknown>>
}

type Db = Pick<Client, 'query'>

export interface CallerWriteOptions {
  /**
   * Keys and tables of entries that are `linearizable`: no node answers them between this and the commit, so that no read that begins after it shows
   * what was before. Others are fresh here, and elsewhere with the position.
   */
  readonly touches?: readonly string[]
  /** For the audit. */
  readonly requestId?: string
}

export interface CallerDatabase {
  /** In one transaction. */
  write<T>(caller: DatabaseCaller, fn: (db: Db) => Promise<T>, options?: CallerWriteOptions): Promise<WrittenAt<T>>
  /** In one snapshot. */
  read<T>(caller: DatabaseCaller, fn: (db: Db) => Promise<T>): Promise<T>
}

export interface CallerDatabaseOptions {
  readonly errors: Refusals
  /** Of a login that may become the roles of callers. */
  readonly pool: Pick<Pool, 'transaction'>
  /** Caches that are to show what was written. */
  readonly cache?: Pick<Cache<Definitions>, 'write'> & { readonly node: { readonly feed: Settling } }
}

interface Settling {
  waitFor(position: Position, options: { readonly follower: string; readonly timeoutMs: number }): Promise<unknown>
}

/** How long a write waits for caches here to let go of what was before; reads that bring its position wait by themselves. */
const settleMs = 500

const settingsOf = ({ role, claims }: DatabaseCaller, requestId?: string): NonNullable<TransactionOptions['settings']> => ({
  role,
  'request.jwt.claims': JSON.stringify(claims),
  ...(requestId !== undefined && { 'tidemark.request_id': requestId }),
})

/** A place to write and to read in as the caller. What Postgres refuses is raised in the errors of the application. */
export const createCallerDatabase = ({ errors, pool, cache }: CallerDatabaseOptions): CallerDatabase => {
  const nothing = async (): Promise<undefined> => undefined

  /** It is committed: that its place cannot be told is no failure of the write. */
  const placed = async <T>(result: T): Promise<WrittenAt<T>> => {
    const written = await cache!.write(nothing, { touches: [] }).catch(nothing)
    return { result, ...(written && { position: written.position }) }
  }

  /** Within an announced write. That the announcement could not be ended does not undo what was committed within it. */
  const announced = async <T>(commit: () => Promise<T>, touches: readonly string[]): Promise<WrittenAt<T>> => {
    let committed: { readonly result: T } | undefined
    try {
      const { position } = await cache!.write(
        async () => {
          committed = { result: await commit() }
        },
        { touches },
      )
      return { result: committed!.result, position }
    } catch (error) {
      if (committed) return committed
      throw error
    }
  }

  return {
    write: async (caller, fn, { touches = [], requestId } = {}) => {
      const commit = () => errors.refusing(pool.transaction(fn, { settings: settingsOf(caller, requestId) }))
      if (!cache) return { result: await commit() }
      const written = touches.length > 0 ? await announced(commit, touches) : await placed(await commit())
      const { position } = written
      if (position) await cache.node.feed.waitFor(position, { follower: 'cache', timeoutMs: settleMs }).catch(nothing)
      return written
    },
    read: (caller, fn) =>
      errors.refusing(pool.transaction(fn, { settings: settingsOf(caller), readOnly: true, isolation: 'repeatable read' })),
  }
}
