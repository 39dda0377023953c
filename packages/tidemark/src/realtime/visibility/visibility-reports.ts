import type { Logger, Metrics, Signals } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { TableAccess } from './table-access.js'

export interface VisibilityReportsOptions {
  readonly log: Logger
  readonly metrics?: Metrics | undefined
  readonly signals?: Signals | undefined
  readonly clock: Clock
}

/** Tells people what becomes of policies: in the log, as metrics, as signals. */
export interface VisibilityReports {
  asked(durationMs: number, verdicts: number): void
  /** A policy raised or took too long. The value that it choked on is not told: it may be anybody's. */
  trouble(access: TableAccess, kind: 'raised' | 'slow', sqlstate: string | undefined): void
  /** Whether a column said the same as Postgres. */
  sampled(access: TableAccess, equal: boolean): void
}

/** Of one kind about one table and role, so often. */
const tellEveryMs = 60_000

export const createVisibilityReports = ({ log, metrics, signals, clock }: VisibilityReportsOptions): VisibilityReports => {
  const duration = metrics?.histogram(
    'tidemark_realtime_policies_seconds',
    'How long Postgres took to say who may see the changes of a turn.',
    [],
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5],
  )
  const callers = metrics?.counter(
    'tidemark_realtime_policies_callers_total',
    'Callers whose policies were asked, over all turns.',
  )
  const failures = metrics?.counter<'table' | 'kind'>(
    'tidemark_realtime_policy_failures_total',
    'Times that the policies of a table raised or took too long for a caller.',
    ['table', 'kind'],
  )
  const samples = metrics?.counter<'result'>(
    'tidemark_realtime_owner_samples_total',
    'Changes decided by the column of their owner that Postgres was asked about as well.',
    ['result'],
  )
  const toldAt = new Map<string, number>()
  const isDue = (key: string): boolean => {
    const now = clock.monotonicMs()
    if (now - (toldAt.get(key) ?? Number.NEGATIVE_INFINITY) < tellEveryMs) return false
    toldAt.set(key, now)
    return true
  }
  return {
    asked: (durationMs, verdicts) => {
      duration?.observe(durationMs / 1000)
      callers?.add(verdicts)
    },
    trouble: ({ schema, table, role }, kind, sqlstate) => {
      const name = `${schema}.${table}`
      failures?.increment({ table: name, kind })
      if (!isDue(`${kind} ${role} ${name}`)) return
      const what = kind === 'raised' ? `raises SQLSTATE ${sqlstate}` : 'takes too long'
      log.warn('a policy keeps changes from a subscriber', { table: name, role, what })
      const message = `A policy on ${name} ${what} for a subscriber of the role ${role}, who is not told of changes.`
      signals?.raise({ name: 'realtime.policy', subject: name, message })
    },
    sampled: ({ schema, table, role }, equal) => {
      samples?.increment({ result: equal ? 'equal' : 'different' })
      if (equal) return
      const name = `${schema}.${table}`
      log.error('Postgres says otherwise than the column of the owner: it is asked from now on', { table: name, role })
      const message = `For ${name}, Postgres decides otherwise than auth.uid() and the column that it is compared with; Postgres is asked from now on.`
      signals?.raise({ name: 'realtime.owner', subject: name, message })
    },
  }
}
