import type { AlertsReport, AlertView, SilenceView } from '../../server/operations/alerts.js'
import { formatDuration } from '../../time/durations.js'
import { table } from './table.js'

const agoText = (iso: string, nowMs: number): string => `${formatDuration(Math.max(0, nowMs - Date.parse(iso)))} ago`

const rowOf = (alert: AlertView, nowMs: number): readonly (string | number)[] => [
  alert.id.slice(0, 8),
  alert.severity,
  alert.status === 'acknowledged' ? `ack by ${alert.acknowledged_by ?? '?'}` : alert.status,
  alert.alert_type,
  `${alert.entity_type} ${alert.entity_id}`.slice(0, 40),
  alert.occurrences,
  agoText(alert.timestamp, nowMs),
  alert.message.slice(0, 100),
]

/** Whole seconds: what was silenced for two hours a moment ago is so for two hours. */
const leftText = (iso: string, nowMs: number): string =>
  formatDuration(Math.max(0, Math.round((Date.parse(iso) - nowMs) / 1000) * 1000))

const silenceText = ({ id, matchers, author, comment, ends_at }: SilenceView, nowMs: number): string =>
  `${id.slice(0, 8)} ${matchers.join(' ')} for ${leftText(ends_at, nowMs)} by ${author}${comment === '' ? '' : `: ${comment}`}`

/** One line for each alert and silence. */
export const alertsText = ({ alerts, silences, channels }: AlertsReport, nowMs: number): string =>
  [
    alerts.length === 0
      ? 'Nothing is wrong that alerts know of.'
      : table(
          ['id', 'severity', 'status', 'type', 'of', 'times', 'since', 'message'],
          alerts.map((alert) => rowOf(alert, nowMs)),
        ),
    ...(silences.length > 0 ? ['Silenced:', ...silences.map((silence) => `  ${silenceText(silence, nowMs)}`)] : []),
    `Channels: ${channels.join(', ')}`,
  ].join('\n')

export const alertText = ({ id, alert_type, entity_type, entity_id, status }: AlertView): string =>
  `${id} ${alert_type} of ${entity_type} ${entity_id} is ${status}.`

export const silencedText = (silence: SilenceView, nowMs: number): string => `Silenced: ${silenceText(silence, nowMs)}`
