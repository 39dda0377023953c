import { alertJson, iso } from '../alert-json.js'
import type { Alert, Notice, NoticeItem } from '../alerts.js'

const alertFields = (alert: Alert) => ({
  ...alertJson(alert),
  fingerprint: alert.fingerprint,
  started_at: iso(alert.startedAtMs),
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
