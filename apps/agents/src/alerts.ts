/** What is wrong just now, and what was: signals of this process, those of one subject folded into one alert. */
import { randomUUID } from 'node:crypto'
import type { Signals } from 'tidemark'
import { placeOf } from 'tidemark/app'
import type { Alert, AlertPage } from './routes/answers.js'
import { parsePlace } from './routes/input.js'

/** What begins an alert, and what ends it. */
const endings: Readonly<Record<string, string>> = {
  'secondary.up': 'secondary.down',
  'heartbeat.back': 'heartbeat.missed',
  'breaker.closed': 'breaker.opened',
  'feed.back': 'feed.away',
  'redis.up': 'redis.down',
}
const beginnings = new Set(Object.values(endings))
const kept = 200

export interface AlertsQuery {
  readonly status?: Alert['status'] | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

export interface Alerts {
  /** The newest first. Raises AGENTS_INVALID for a cursor that is none. */
  page(query: AlertsQuery): AlertPage
  /** What is wrong now, the newest first. */
  active(): readonly Alert[]
  stop(): void
}

/** Goes up with the time; of one moment, with the id. */
const orderOf = ({ timestamp, id }: Pick<Alert, 'timestamp' | 'id'>): string => `${timestamp} ${id}`

const newestFirst = (one: Alert, other: Alert): number => (orderOf(one) < orderOf(other) ? 1 : -1)

export const createAlerts = (signals: Signals): Alerts => {
  const alerts = new Map<string, Alert>()
  const keyOf = (name: string, subject: string): string => `${name} ${subject}`
  const past: Alert[] = []
  const stop = signals.listen(
    ({ name, subject, message, severity, at }) => {
      const timestamp = new Date(at).toISOString()
      const begun = endings[name]
      const key = keyOf(begun ?? name, subject)
      const active = alerts.get(key)
      if (begun !== undefined && active) {
        alerts.delete(key)
        past.unshift({ ...active, status: 'resolved', resolved_at: timestamp })
        past.splice(kept)
      } else if (beginnings.has(name) && !active) {
        const alert = { id: randomUUID(), alert_type: name, entity_id: subject, message, severity, timestamp, resolved_at: null }
        alerts.set(key, { ...alert, status: 'active' })
      }
    },
    { replay: true },
  )
  const active = (): readonly Alert[] => [...alerts.values()].sort(newestFirst)
  return {
    page: ({ status, limit, cursor }) => {
      const [timestamp, id] = parsePlace(cursor)
      const isBehind = (alert: Alert): boolean => timestamp === null || orderOf(alert) < orderOf({ timestamp, id })
      const found = [...alerts.values(), ...past]
        .filter((alert) => (status === undefined || alert.status === status) && isBehind(alert))
        .sort(newestFirst)
      const page = found.slice(0, limit)
      const last = found.length > limit ? page.at(-1) : undefined
      return { alerts: page, next: last ? placeOf(last.timestamp, last.id) : null }
    },
    active,
    stop,
  }
}
