/** Writes that tell where they are, so that a read elsewhere can wait for them (CACHE-5). */
import type { Position } from '../../feed/position.js'
import { readWrittenPosition } from '../../feed/written-position.js'
import type { CachePool, LoadClient, WriteOptions, Written } from '../cache.js'
import type { FeedState } from '../follow/feed-state.js'
import { qualified } from '../plan/rules.js'
import type { Intents } from './intents.js'

export interface WriteParts {
  readonly pool: CachePool
  readonly feed: FeedState
  readonly intents: Intents | null
  /** All that linearizable entries follow. */
  readonly tables: readonly string[]
}

/** No history of a feed has this name: a read that is to see it goes to Postgres. */
const nowhere: Position = { epoch: 'unknown', number: 0n }

const xidOf = async (tx: LoadClient): Promise<bigint | undefined> => {
  const { rows } = await tx.query<{ xid: string | null }>('select pg_current_xact_id_if_assigned()::text as xid')
  const xid = rows[0]?.xid
  return xid == null ? undefined : BigInt(xid)
}

const readToken = async ({ pool, feed }: WriteParts, xid: bigint | undefined): Promise<Position> => {
  const epoch = feed.position?.epoch
  if (epoch === undefined) return nowhere
  const named = xid !== undefined && { xid }
  // The outbox counts batches, which a writer cannot know; a reader then waits until all before its own beginning is proven.
  if (epoch.startsWith('outbox-')) return { epoch, number: feed.position!.number, ...named }
  return { ...(await readWrittenPosition(pool, epoch)), ...named }
}

/** A table without its schema is of `public`, as in a rule; a key that looks like one is held under its own name as well. */
const namesOf = (touches: readonly string[]): readonly string[] => [
  ...new Set(touches.flatMap((name) => [name, qualified(name)])),
]

export const createWrite =
  (parts: WriteParts) =>
  async <T>(fn: (tx: LoadClient) => Promise<T>, { touches, signal }: WriteOptions = {}): Promise<Written<T>> => {
    const { pool, intents, tables } = parts
    const touched = touches ? namesOf(touches) : tables
    const intent = intents && touched.length > 0 ? await intents.announce(touched, signal) : undefined
    const work = async (tx: LoadClient) => {
      if (intents && intent) await intents.end(tx, intent)
      return [await fn(tx), await xidOf(tx)] as const
    }
    const [result, xid] = await pool.transaction(work, signal ? { signal } : {}).catch(async (error: unknown) => {
      if (intents && intent) await intents.withdraw(intent)
      throw error
    })
    // It is committed: that its place cannot be told is no failure of the write.
    return { result, position: await readToken(parts, xid).catch(() => nowhere) }
  }
