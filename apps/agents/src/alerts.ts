/** What is wrong just now, and what was: signals of this process, those of one subject folded into one alert. */
import { randomUUID } from 'node:crypto'
import type { Signals } from 'tidemark'

export interface Alert {
  readonly id: string
  readonly alert_type: string
  readonly entity_id: string
  readonly message: string
  readonly severity: string
  readonly status: 'active' | 'resolved'
  readonly timestamp: string
  readonly resolved_at: string | null
}

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

export interface Alerts {
  /** The newest first. */
  list(status?: Alert['status']): readonly Alert[]
  stop(): void
}

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
  return {
    list: (status) => {
      const active = [...alerts.values()].reverse()
      if (status === 'active') return active
      return status === 'resolved' ? past : [...active, ...past]
    },
    stop,
  }
}
