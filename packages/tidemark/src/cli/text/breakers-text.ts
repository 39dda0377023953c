import type { BreakerReport, BreakersReport } from '../../server/operations/breakers.js'
import { formatDuration } from '../../time/durations.js'
import { table } from './table.js'

const heldText = ({ forced, forcedUntil }: BreakerReport): string => {
  if (forced === null) return ''
  return forcedUntil === null ? 'held' : `held until ${forcedUntil.slice(0, 19)}Z`
}

const rowOf = (breaker: BreakerReport): readonly (string | number)[] => [
  breaker.service,
  breaker.scope === 'own' ? `${breaker.state} (here alone)` : breaker.state,
  heldText(breaker) || (breaker.retryAfterMs > 0 ? `probe in ${formatDuration(breaker.retryAfterMs)}` : '-'),
  breaker.failureCount,
  breaker.openedAt === null ? '-' : `${breaker.openedAt.slice(0, 19)}Z`,
  breaker.processes ?? '-',
  breaker.reason || '-',
]

const headings = ['service', 'state', 'next', 'failures', 'opened', 'processes', 'why']

/** One line for each service. */
export const breakersText = ({ scope, breakers, waiting }: BreakersReport): string => {
  if (breakers.length === 0)
    return scope === 'nothing' ? 'No server runs here, and no Redis answers.' : 'No breaker stands before any service.'
  return [
    table(headings, breakers.map(rowOf)),
    ...(scope === 'this server only' ? ['This server only: without Redis processes know nothing of each other.'] : []),
    ...(waiting !== null && waiting > 0 ? [`${waiting} transitions wait for Postgres.`] : []),
  ].join('\n')
}
