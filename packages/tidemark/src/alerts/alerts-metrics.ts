import type { Metrics } from '../observability/observability.js'
import { pathMetrics } from './rules/standard-rules.js'

export interface AlertsMetrics {
  delivered(channel: string): void
  failed(channel: string): void
  folded(signals: number): void
  opened(severity: string): void
  /** How long the oldest has waited, in seconds. */
  showWaiting(unfoldedSeconds: number, undelivered: ReadonlyMap<string, number>): void
  showOpen(bySeverity: ReadonlyMap<string, number>): void
  kept(signals: number): void
}

export const createAlertsMetrics = (metrics: Metrics): AlertsMetrics => {
  const sent = metrics.counter('tidemark_alerts_notices_total', 'Notices, by what became of an attempt.', ['channel', 'outcome'])
  const folded = metrics.counter('tidemark_alerts_signals_folded_total', 'Signals that were folded into alerts by this node.')
  const opened = metrics.counter('tidemark_alerts_opened_total', 'Alerts that this node opened.', ['severity'])
  const open = metrics.gauge('tidemark_alerts_open_entries', 'Alerts that are open.', ['severity'])
  const unfolded = metrics.gauge(pathMetrics.unfolded, 'How long the oldest signal waits to be folded.')
  const undelivered = metrics.gauge(pathMetrics.undelivered, 'How long the oldest notice that is due waits.', ['channel'])
  const kept = metrics.gauge('tidemark_alerts_kept_entries', 'Signals that are kept on this machine until Postgres is back.')
  return {
    delivered: (channel) => sent.increment({ channel, outcome: 'delivered' }),
    failed: (channel) => sent.increment({ channel, outcome: 'failed' }),
    folded: (signals) => folded.add(signals),
    opened: (severity) => opened.increment({ severity }),
    showWaiting: (unfoldedSeconds, byChannel) => {
      unfolded.set(unfoldedSeconds)
      for (const [channel, seconds] of byChannel) undelivered.set(seconds, { channel })
    },
    showOpen: (bySeverity) => {
      for (const severity of ['info', 'warning', 'error', 'critical']) open.set(bySeverity.get(severity) ?? 0, { severity })
    },
    kept: (signals) => kept.set(signals),
  }
}
