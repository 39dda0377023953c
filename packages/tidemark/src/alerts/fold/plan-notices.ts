import type { Alert } from '../alerts.js'
import { noticeKeys } from '../notify/keys.js'
import type { OutboxRow } from '../notify/outbox.js'
import { isUrgent, type Route, type Routes } from '../notify/routes.js'
import type { AlertEvent } from './alert-rows.js'
import type { FoldedAlert } from './fold.js'

/** From so many beginnings and ends within `flappingWindowMs` on, a condition comes and goes. */
const flappingChanges = 4
export const flappingWindowMs = 30 * 60_000

export interface PlanOptions {
  readonly routes: Routes
  /** Of the channel that carries hints; undefined where there is none. */
  readonly hints: string | undefined
}

/** What is known of how often one condition comes and goes. */
export interface Restlessness {
  changes: number
  /** It was said within the window. */
  told: boolean
}

export interface Planned {
  readonly rows: readonly OutboxRow[]
  readonly events: readonly AlertEvent[]
}

const rowsFor = (
  alert: Alert,
  route: Route,
  groupKey: string,
  rest: Pick<OutboxRow, 'kind' | 'idempotencyKey'> & Partial<OutboxRow>,
) => {
  const urgent = isUrgent(alert.severity)
  return route.channels.map((channel) => ({
    alert,
    channel,
    groupKey,
    waitMs: urgent ? 0 : route.groupWaitMs,
    intervalMs: urgent ? 0 : route.groupIntervalMs,
    ...rest,
  }))
}

const hintOf = (alert: Alert, hints: string): OutboxRow => ({
  alert,
  channel: hints,
  kind: 'firing',
  groupKey: '',
  idempotencyKey: noticeKeys.firing(alert),
  waitMs: 0,
  intervalMs: 0,
})

/** What has to be told of one alert after a fold. Counts on in `restless`. */
export const planNotices = ({ alert, changes, told }: FoldedAlert, restless: Restlessness, options: PlanOptions): Planned => {
  const { routes, hints } = options
  const route = routes.of(alert)
  const groupKey = routes.groupKeyOf(alert, route)
  const rows: OutboxRow[] = []
  const events: AlertEvent[] = []
  for (const change of changes) {
    if (change !== 'raised') restless.changes += 1
    const flaps = restless.changes >= flappingChanges
    if (flaps && !restless.told) {
      restless.told = true
      events.push({ alertId: alert.id, fingerprint: alert.fingerprint, kind: 'flapping', details: { changes: restless.changes } })
      rows.push(...rowsFor(alert, route, groupKey, { kind: 'flapping', idempotencyKey: noticeKeys.flapping(alert) }))
    }
    if (change === 'resolved') {
      if (route.sendResolved && !flaps)
        rows.push(...rowsFor(alert, route, groupKey, { kind: 'resolved', idempotencyKey: noticeKeys.resolved(alert) }))
      continue
    }
    // What comes and goes is told once that it does; if it stays, it is told then.
    const late = flaps ? { waitMs: flappingWindowMs, held: 'flapping' } : {}
    const firing = rowsFor(alert, route, groupKey, { kind: 'firing', idempotencyKey: noticeKeys.firing(alert), ...late })
    rows.push(...firing.map((row) => (told.has(row.channel) ? { ...row, isTold: true } : row)))
    if (hints !== undefined) rows.push(hintOf(alert, hints))
  }
  return { rows, events }
}
