import { TidemarkError } from '../errors.js'
import type { Clock } from '../time/clock.js'
import type { SchemaClient } from './schema.js'

/** Any number that nobody else uses: the letters "tidemark" as a 64-bit integer. */
const key = 8_388_068_008_257_057_387n
const intervalMs = 50

/**
 * Runs `work` while no other migrator of this database does. The lock belongs to the session, so it goes with the process.
 * It is asked for again and again instead of waited for on the server: a waiting statement holds a snapshot, and
 * CREATE INDEX CONCURRENTLY in the session that has the lock would wait for that snapshot for ever.
 * Raises TM_SCHEMA_LOCKED.
 */
export const withMigrationLock = async <T>(
  client: SchemaClient,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
  work: () => Promise<T>,
): Promise<T> => {
  const deadline = clock.monotonicMs() + timeoutMs
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>(`select pg_try_advisory_lock(${key}) as locked`)
    if (rows[0]?.locked) break
    if (clock.monotonicMs() >= deadline) throw new TidemarkError('TM_SCHEMA_LOCKED', { timeoutMs })
    await clock.sleep(intervalMs)
  }
  try {
    return await work()
  } finally {
    // A lost connection has given the lock back already.
    await client.query(`select pg_advisory_unlock(${key})`).catch(() => undefined)
  }
}
