/** Transitions of breakers as rows of public.circuit_breaker_events. */
import { type Pool, sqlstateOf } from '../../postgres/postgres.js'
import type { BreakerRows, CircuitTransition } from '../../resilience/breaker/shared-circuits.js'
import type { Journal } from '../../resilience/journal/journal.js'
import { type JournalOptions, openJournal } from '../../resilience/journal/open-journal.js'

export interface BreakerEventsOptions extends Pick<JournalOptions<CircuitTransition>, 'log' | 'clock'> {
  readonly pool: Pool
  /** Where transitions wait for Postgres. */
  readonly folder: string
}

export interface BreakerEvents extends BreakerRows {
  readonly journal: Journal<CircuitTransition>
}

const insert = `insert into public.circuit_breaker_events
    (service_name, previous_state, new_state, failure_count, timestamp, reason, epoch, instance)
  select service, from_state, to_state, failures, to_timestamp(at / 1000.0), reason, epoch, instance
  from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::bigint[], $8::text[])
    as told (service, from_state, to_state, failures, at, reason, epoch, instance)
  on conflict on constraint circuit_breaker_events_once do nothing`

const column = <K extends keyof CircuitTransition>(rows: readonly CircuitTransition[], name: K) => rows.map((row) => row[name])

/** Values that no column takes: of the row's making, and no better another time. */
export const isValueRefused = (error: unknown): boolean => /^2[23]/.test(sqlstateOf(error) ?? '')

/** Opens what keeps transitions: on disk at once, in Postgres when it answers, one row each however often it is told. */
export const openBreakerEvents = async ({ pool, folder, ...options }: BreakerEventsOptions): Promise<BreakerEvents> => {
  const journal = await openJournal<CircuitTransition>({
    ...options,
    name: 'breaker-events',
    folder,
    isRefused: isValueRefused,
    write: async (entries, signal) => {
      const rows = entries.map(({ data }) => data)
      const names = ['service', 'from', 'to', 'failureCount', 'at', 'reason', 'epoch', 'instance'] as const
      await pool.query(
        insert,
        names.map((name) => column(rows, name)),
        { signal, idempotent: true },
      )
    },
  })
  return {
    journal,
    add: (transition) => journal.append(transition, `${transition.service}/${transition.epoch}/${transition.instance}`),
    lastEpoch: async (service) => {
      const sql = 'select coalesce(max(epoch), 0)::text as epoch from public.circuit_breaker_events where service_name = $1'
      const { rows } = await pool.query<{ epoch: string }>(sql, [service], { idempotent: true })
      return Number(rows[0]?.epoch ?? 0)
    },
  }
}
