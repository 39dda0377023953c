/** What stands between this process and others: how calls are limited, what waits to be written down, and what breakers did. */
import { z } from 'zod'
import { isoText, type Pool } from '../../postgres/postgres.js'
import type { JournalBacklog } from '../../resilience/journal/journal.js'
import type { LimiterCounts, WholeRule } from '../../resilience/limiter/limits.js'
import type { Resilience } from '../resilience/open-resilience.js'

export interface LimiterReport {
  readonly name: string
  readonly rules: readonly WholeRule[]
  /** Since this process began. */
  readonly counts: LimiterCounts
}

export interface BreakerEvent {
  readonly id: string
  readonly service: string
  readonly from: string
  readonly to: string
  readonly failures: number | null
  readonly reason: string | null
  /** Empty where it held for all processes. */
  readonly instance: string
  readonly at: string
}

export interface ResilienceReport {
  readonly limiters: readonly LimiterReport[]
  /** Null where nothing is kept on disk until Postgres takes it. */
  readonly journal: JournalBacklog | null
  /** The newest first. */
  readonly events: readonly BreakerEvent[]
}

export const resilienceRequest = z.strictObject({
  service: z.string().min(1).max(200).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(200),
})

const eventsSql = `
  select id, service_name as service, previous_state as "from", new_state as "to", failure_count as failures, reason, instance,
         ${isoText('timestamp')} as at
    from public.circuit_breaker_events where $1::text is null or service_name = $1 order by timestamp desc, epoch desc limit $2`

export const resilienceReport = async (
  pool: Pool,
  { service, limit }: z.output<typeof resilienceRequest>,
  resilience: Resilience | undefined,
): Promise<ResilienceReport> => ({
  limiters: (resilience?.limiters ?? []).map(({ name, rules, counts }) => ({ name, rules, counts: { ...counts } })),
  journal: resilience?.journal?.backlog() ?? null,
  events: (await pool.query<BreakerEvent>(eventsSql, [service ?? null, limit], { idempotent: true })).rows,
})
