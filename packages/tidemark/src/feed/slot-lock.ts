/** One at a time makes a slot, or takes it away: a lock of the database that goes with its session. */
import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import type { Asker } from './slots.js'

const key = `hashtextextended('tidemark slot ' || $1, 0)`

const holderSql = `
  select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1
     and database = (select oid from pg_database where datname = current_database()) and (classid::bigint << 32 | objid::bigint) = ${key}`

/** False where somebody else has it. */
const tryLockSlot = async (client: Asker, slot: string): Promise<boolean> => {
  const { rows } = await client.query<{ locked: boolean }>(`select pg_try_advisory_lock(${key}) as locked`, [slot])
  return rows[0]!.locked
}

const busy = async (client: Asker, slot: string, cause?: unknown): Promise<TidemarkError> => {
  const { rows } = await client.query<{ pid: number }>(holderSql, [slot])
  return new TidemarkError('TM_FEED_SLOT_BUSY', { slot, pid: rows[0]?.pid ?? '?' }, { cause })
}

/** Takes the lock at once. Raises TM_FEED_SLOT_BUSY. */
export const lockSlot = async (client: Asker, slot: string): Promise<void> => {
  if (!(await tryLockSlot(client, slot))) throw await busy(client, slot)
}

export const unlockSlot = async (client: Asker, slot: string): Promise<void> => {
  await client.query(`select pg_advisory_unlock(${key})`, [slot])
}

export interface WithSlotLockOptions {
  /** How long whoever makes the slot may take. Default 40,000: a little longer than a slot waits for transactions that are open. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

/** Nobody makes the slot while this works. Raises TM_FEED_SLOT_BUSY. */
export const withSlotLock = async <T>(
  client: Asker,
  slot: string,
  work: () => Promise<T>,
  { timeoutMs = 40_000, clock = systemClock }: WithSlotLockOptions = {},
): Promise<T> => {
  await until(() => tryLockSlot(client, slot), { timeoutMs, clock }).catch(async (cause: unknown) => {
    throw await busy(client, slot, cause)
  })
  try {
    return await work()
  } finally {
    await unlockSlot(client, slot).catch(() => undefined)
  }
}
