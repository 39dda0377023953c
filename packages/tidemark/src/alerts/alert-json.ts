import type { Alert, AlertLabels, AlertStatus } from './alerts.js'

/** An alert as programs and people read it: the documented names. */
export interface AlertJson {
  readonly id: string
  readonly alert_type: string
  readonly entity_id: string
  readonly entity_type: string
  readonly message: string
  readonly severity: string
  readonly status: AlertStatus
  readonly labels: AlertLabels
  readonly occurrences: number
  readonly last_seen_at: string
  readonly resolved_at: string | null
  readonly acknowledged_by: string | null
}

/** A moment as ISO 8601. */
export const iso = (ms: number): string => new Date(ms).toISOString()

export const alertJson = (alert: Alert): AlertJson => ({
  id: alert.id,
  alert_type: alert.alertType,
  entity_id: alert.entityId,
  entity_type: alert.entityType,
  message: alert.message,
  severity: alert.severity,
  status: alert.status,
  labels: alert.labels,
  occurrences: alert.occurrences,
  last_seen_at: iso(alert.lastSeenAtMs),
  resolved_at: alert.resolvedAtMs === undefined ? null : iso(alert.resolvedAtMs),
  acknowledged_by: alert.acknowledgedBy ?? null,
})
