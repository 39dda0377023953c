import type { Severity, SignalName } from '../../observability/observability.js'
import type { AlertSeverity } from '../alerts.js'

/** How a signal becomes an alert, and what ends that. */
export interface SignalAlert {
  readonly entityType: string
  /** The signal that ends it, of the same subject. Without one it ends by itself. */
  readonly endedBy?: SignalName
  /** After so long without another such signal it counts as over. */
  readonly holdMs?: number
  /** Default: the signal's. */
  readonly severity?: AlertSeverity
}

const quarterMs = 15 * 60_000

/** Signals that begin an alert; its type is the signal's name. What is not named here is an end, or a step between. */
export const signalAlerts = {
  'redis.down': { entityType: 'redis', endedBy: 'redis.up' },
  'feed.held': { entityType: 'follower', holdMs: quarterMs },
  'feed.away': { entityType: 'feed', endedBy: 'feed.back', severity: 'error' },
  'feed.behind': { entityType: 'feed', holdMs: quarterMs },
  'cache.stale': { entityType: 'cache', holdMs: quarterMs },
  'realtime.policy': { entityType: 'policy', holdMs: quarterMs },
  'realtime.owner': { entityType: 'policy', holdMs: quarterMs },
  'secondary.down': { entityType: 'store', endedBy: 'secondary.up' },
  'heartbeat.missed': { entityType: 'heartbeat', endedBy: 'heartbeat.back' },
  'breaker.opened': { entityType: 'service', endedBy: 'breaker.closed' },
} as const satisfies Partial<Readonly<Record<SignalName, SignalAlert>>>

export type BeginningSignal = keyof typeof signalAlerts

export const beginningOf = (name: string): SignalAlert | undefined =>
  name in signalAlerts ? signalAlerts[name as BeginningSignal] : undefined

/** What a signal ends; undefined where it ends nothing. */
export const endedBy = (name: SignalName): BeginningSignal | undefined =>
  (Object.entries(signalAlerts) as [BeginningSignal, SignalAlert][]).find(([, alert]) => alert.endedBy === name)?.[0]

export const severityOf = (alert: SignalAlert, severity: Severity): AlertSeverity => alert.severity ?? severity
