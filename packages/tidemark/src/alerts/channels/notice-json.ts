import type { Alert, Notice, NoticeItem } from '../alerts.js'

const iso = (ms: number): string => new Date(ms).toISOString()

const alertFields = (alert: Alert) => ({
  id: alert.id,
  alert_type: alert.alertType,
  entity_id: alert.entityId,
  entity_type: alert.entityType,
  message: alert.message,
  severity: alert.severity,
  status: alert.status,
  labels: alert.labels,
  fingerprint: alert.fingerprint,
  occurrences: alert.occurrences,
  started_at: iso(alert.startedAtMs),
  last_seen_at: iso(alert.lastSeenAtMs),
  resolved_at: alert.resolvedAtMs === undefined ? null : iso(alert.resolvedAtMs),
  acknowledged_by: alert.acknowledgedBy ?? null,
})

const itemFields = ({ kind, alert }: NoticeItem) => ({ kind, ...(alert && alertFields(alert)) })

/** What a program is told. */
export const noticeJson = ({ idempotencyKey, sentAtMs, items }: Notice) => ({
  type: 'alerts',
  timestamp: iso(sentAtMs),
  data: { id: idempotencyKey, alerts: items.map(itemFields) },
})

const words: Readonly<Record<NoticeItem['kind'], string>> = {
  firing: 'FIRING',
  resolved: 'RESOLVED',
  repeat: 'STILL FIRING',
  escalated: 'NOT ACKNOWLEDGED',
  flapping: 'FLAPPING',
  watchdog: 'ALIVE',
  test: 'TEST',
}

const watchdogText = 'The way of alerts works. If this stops coming, it does not.'

/** One line for people. */
export const itemText = ({ kind, alert }: NoticeItem): string => {
  if (!alert) return kind === 'watchdog' ? `${words[kind]} ${watchdogText}` : `${words[kind]} This is a test of the channel.`
  const times = alert.occurrences > 1 ? ` (${alert.occurrences} times)` : ''
  return `${words[kind]} ${alert.severity} ${alert.alertType} ${alert.entityType} ${alert.entityId}: ${alert.message}${times}`
}
