/** Lets go of rows that are only added to. */
import type { TidemarkConfig } from '../../config/config.js'
import type { Logger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { type Clock, systemClock } from '../../time/clock.js'

export interface RetentionOptions {
  readonly pool: Pool
  readonly days: TidemarkConfig['retention']
  readonly log: Logger
  readonly clock?: Clock
}

const everyMs = 3_600_000
/** Rows at a time, so that no lock is held for long. */
const most = 10_000

const trim = async (pool: Pool, name: string, keepDays: number, signal: AbortSignal): Promise<number> => {
  let gone = 0
  while (!signal.aborted) {
    const { rows } = await pool.query<{ gone: number }>(`select tidemark.${name}($1, $2)::int as gone`, [keepDays, most], {
      signal,
    })
    const some = rows[0]?.gone ?? 0
    gone += some
    if (some < most) break
  }
  return gone
}

/** One round. 0 days: nothing is let go. */
export const trimOnce = async ({ pool, days, log }: RetentionOptions, signal: AbortSignal): Promise<void> => {
  const tables = [
    { table: 'audit_log', name: 'trim_audit_log', keepDays: days.auditDays },
    { table: 'circuit_breaker_events', name: 'trim_circuit_breaker_events', keepDays: days.breakerEventsDays },
  ]
  for (const { table, name, keepDays } of tables) {
    if (keepDays === 0) continue
    const rows = await trim(pool, name, keepDays, signal)
    if (rows > 0) log.info('old rows were let go', { table, rows, keepDays })
  }
}

/** A round now and every hour, until the signal. Several servers may do so at once. */
export const keepRetention = async (options: RetentionOptions, signal: AbortSignal): Promise<void> => {
  const { log, clock = systemClock } = options
  while (!signal.aborted) {
    await trimOnce(options, signal).catch((err: unknown) => {
      if (!signal.aborted) log.warn('old rows could not be let go', { err })
    })
    await clock.sleep(everyMs, signal).catch(() => undefined)
  }
}
