import type { Logger, Signals } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { readSpooling, startSpooling } from './insert-events.js'

/** Which partitions' events wait in Postgres, as far as this process knows. */
export interface SpoolState {
  /** True where events of the partition must not overtake others in Postgres. */
  isSpooling(partition: number): boolean
  /** Looks before the next answer: Redis was away, so others may have begun to spool. */
  expire(): void
  /** Resolves when it is known as it was after the last `expire`; where Postgres is away, what was known stays. */
  known(): Promise<void>
  /** What an insert saw. */
  saw(partition: number, spooling: boolean): void
  /** From now on events of these partitions wait in Postgres. */
  start(partitions: readonly number[], why: string): Promise<void>
  look(): Promise<void>
}

export interface SpoolStateOptions {
  readonly pool: Pool
  readonly log: Logger
  readonly signals: Signals | undefined
  readonly timeoutMs: number
}

export const createSpoolState = ({ pool, log, signals, timeoutMs }: SpoolStateOptions): SpoolState => {
  let spooling = new Set<number>()
  let stale = true
  let looking: Promise<void> | undefined
  /** The look that answers wait for; those in between are nobody's concern, however long Postgres takes. */
  let awaited: Promise<void> | undefined

  const read = async (): Promise<void> => {
    try {
      spooling = new Set(await readSpooling(pool, AbortSignal.timeout(timeoutMs)))
    } catch (err) {
      log.debug('which partitions wait in Postgres could not be read', { err })
    }
  }

  const look = (): Promise<void> => {
    looking ??= read().finally(() => {
      looking = undefined
    })
    return looking
  }

  return {
    look,
    isSpooling: (partition) => spooling.has(partition),
    expire: () => {
      stale = true
    },
    known: async () => {
      if (stale) {
        stale = false
        // One of its own: what is being read already may be older.
        awaited = read().finally(() => {
          awaited = undefined
        })
      }
      await awaited
    },
    saw: (partition, isSpooling) => {
      if (isSpooling) spooling.add(partition)
      else spooling.delete(partition)
    },
    start: async (partitions, why) => {
      const fresh = partitions.filter((partition) => !spooling.has(partition))
      await startSpooling(pool, partitions, AbortSignal.timeout(timeoutMs))
      for (const partition of partitions) spooling.add(partition)
      if (fresh.length === 0) return
      log.warn('events wait in Postgres', { partitions: fresh, why })
      for (const partition of fresh) {
        const message = `Events of partition ${partition} wait in Postgres: ${why}.`
        signals?.raise({ name: 'webhooks.spooling', subject: String(partition), message, details: { partition } })
      }
    },
  }
}
