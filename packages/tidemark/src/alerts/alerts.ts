/**
 * The words of this folder. An alert goes one way:
 *
 * a rule holds, or a transaction appends a signal → `tidemark.alert_signals` → fold/ (one job, one open alert for each condition, and what has to
 * be sent, in one transaction) → notify/ (what is due, to whom) → channels/ → told. Where Postgres is away: a rule holds → direct/ → channels/.
 */

/** The least grave first. */
export const severities = ['info', 'warning', 'error', 'critical'] as const

export type AlertSeverity = (typeof severities)[number]

/** Of an alert that is stored. */
export type AlertStatus = 'active' | 'acknowledged' | 'resolved'

/** What tells one condition from another, besides its type and its entity. */
export type AlertLabels = Readonly<Record<string, string>>

/** What names a condition. */
export interface ConditionName {
  readonly alertType: string
  readonly entityType: string
  readonly entityId: string
  readonly labels: AlertLabels
}

/** `raise`: it is so. `still`: it goes on. `resolve`: it is over. */
export type SignalKind = 'raise' | 'still' | 'resolve'

/** What was noticed, on its way into storage. */
export interface AlertSignal extends ConditionName {
  readonly id: string
  readonly kind: SignalKind
  readonly message: string
  readonly severity: AlertSeverity
  /** Who watches; empty where nobody goes on watching. */
  readonly source: string
  /** Wall time in milliseconds since 1970. */
  readonly raisedAtMs: number
  /** Channels that were told straight away. */
  readonly told: readonly string[]
  /** Of the alert that was told of then. */
  readonly proposedId: string | undefined
}

/** An alert as it is told, listed and published. */
export interface Alert extends ConditionName {
  readonly id: string
  readonly message: string
  readonly severity: AlertSeverity
  readonly status: AlertStatus
  readonly occurrences: number
  readonly fingerprint: string
  /** Wall times in milliseconds since 1970. */
  readonly startedAtMs: number
  readonly lastSeenAtMs: number
  readonly resolvedAtMs: number | undefined
  readonly acknowledgedBy: string | undefined
}

/** The alert that a signal begins. */
export const begun = (signal: AlertSignal, id: string, fingerprint: string): Alert => ({
  id,
  fingerprint,
  alertType: signal.alertType,
  entityType: signal.entityType,
  entityId: signal.entityId,
  labels: signal.labels,
  message: signal.message,
  severity: signal.severity,
  status: 'active',
  occurrences: 1,
  startedAtMs: signal.raisedAtMs,
  lastSeenAtMs: signal.raisedAtMs,
  resolvedAtMs: undefined,
  acknowledgedBy: undefined,
})

/**
 * Why somebody is told: `firing` it began, `resolved` it ended, `repeat` it goes on, `escalated` nobody acknowledged it, `flapping` it comes and
 * goes, `watchdog` a sign of life (its absence is the alarm), `test` somebody tries the channel.
 */
export type NoticeKind = 'firing' | 'resolved' | 'repeat' | 'escalated' | 'flapping' | 'watchdog' | 'test'

export interface NoticeItem {
  readonly kind: NoticeKind
  /** Undefined for a sign of life and a test. */
  readonly alert: Alert | undefined
}

/** One message to one channel: everything of a group that is due. */
export interface Notice {
  /** The same over all attempts: a receiver keeps it to take a message once. */
  readonly idempotencyKey: string
  readonly groupKey: string
  /** Wall time in milliseconds since 1970. */
  readonly sentAtMs: number
  readonly items: readonly NoticeItem[]
}

export interface Delivered {
  /** What the other end calls the message, where it says so. */
  readonly providerId?: string
}

/** Where alerts go. Raises TM_ALERTS_UNDELIVERED, TM_ALERTS_REFUSED and TM_ALERTS_ADDRESS. */
export interface Channel {
  readonly name: string
  send(notice: Notice, signal: AbortSignal): Promise<Delivered>
  stop?(): Promise<void>
}

/** `alerts` on `reanna:alerts`: exactly the documented JSON (R77). */
export const alertsChannel = 'reanna:alerts'

/** What is published as a hint; the truth is the row. */
export const alertJson = ({ id, alertType, entityId, entityType, message, severity, startedAtMs }: Alert): string =>
  JSON.stringify({
    id,
    alert_type: alertType,
    entity_id: entityId,
    entity_type: entityType,
    message,
    severity,
    timestamp: new Date(startedAtMs).toISOString(),
  })

export const rankOf = (severity: AlertSeverity): number => severities.indexOf(severity)

export const graver = (one: AlertSeverity, other: AlertSeverity): AlertSeverity => (rankOf(one) >= rankOf(other) ? one : other)
