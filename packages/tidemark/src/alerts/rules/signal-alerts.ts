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
  // Dead letters have a rule of their own, which sees them for as long as they are there.
  'webhooks.spooling': { entityType: 'webhooks', holdMs: quarterMs },
  'webhooks.refused': { entityType: 'webhooks', endedBy: 'webhooks.stored' },
  'webhooks.clock_skew': { entityType: 'webhooks', holdMs: quarterMs },
  'webhooks.memory_filling': { entityType: 'webhooks', endedBy: 'webhooks.memory_free' },
  'webhooks.memory_short': { entityType: 'webhooks', endedBy: 'webhooks.memory_free' },
  'webhooks.memory_full': { entityType: 'webhooks', endedBy: 'webhooks.memory_free' },
  'webhooks.eviction': { entityType: 'webhooks', holdMs: quarterMs },
  'webhooks.deleted': { entityType: 'webhooks', holdMs: quarterMs },
  'webhooks.paused': { entityType: 'webhooks', endedBy: 'webhooks.resumed' },
} as const satisfies Partial<Readonly<Record<SignalName, SignalAlert>>>

export type BeginningSignal = keyof typeof signalAlerts

export const beginningOf = (name: string): SignalAlert | undefined =>
  name in signalAlerts ? signalAlerts[name as BeginningSignal] : undefined

/** What a signal ends. */
export const endedBy = (name: SignalName): readonly BeginningSignal[] =>
  (Object.entries(signalAlerts) as [BeginningSignal, SignalAlert][]).flatMap(([begun, alert]) =>
    alert.endedBy === name ? [begun] : [],
  )

export const severityOf = (alert: SignalAlert, severity: Severity): AlertSeverity => alert.severity ?? severity
