import { z } from 'zod'
import { type AlertJson, alertJson, iso } from '../../alerts/alert-json.js'
import type { Alert } from '../../alerts/alerts.js'
import type { Alerts } from '../../alerts/open-alerts.js'
import { TidemarkError } from '../../errors.js'

const day = 86_400_000
const id = z.string().min(4).max(64)
const actor = z.string().min(1).max(200)

export const listRequest = z.strictObject({
  status: z.enum(['open', 'active', 'acknowledged', 'resolved', 'all']).optional(),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
})

export const wordRequest = z.strictObject({ id, actor })

export const silenceRequest = z.strictObject({
  matchers: z.array(z.string().min(1).max(400)).min(1).max(20),
  author: actor,
  comment: z.string().max(1000).default(''),
  forMs: z
    .number()
    .int()
    .min(1000)
    .max(365 * day),
})

export const testRequest = z.strictObject({ channel: z.string().min(1).max(64) })

/** An alert as it is listed. */
export interface AlertView extends AlertJson {
  /** When it began. */
  readonly timestamp: string
}

export interface SilenceView {
  readonly id: string
  readonly matchers: readonly string[]
  readonly author: string
  readonly comment: string
  readonly ends_at: string
}

export interface AlertsReport {
  readonly alerts: readonly AlertView[]
  readonly silences: readonly SilenceView[]
  readonly channels: readonly string[]
}

export interface TestReport {
  readonly channel: string
  readonly delivered: true
  readonly tookMs: number
}

const alertView = (alert: Alert): AlertView => ({ ...alertJson(alert), timestamp: iso(alert.startedAtMs) })

type Silence = Awaited<ReturnType<Alerts['silence']>>

const silenceView = ({ id: name, matchers, author, comment, endsAt }: Silence): SilenceView => ({
  id: name,
  matchers: matchers.map(({ label, op, value }) => `${label}${op}${value}`),
  author,
  comment,
  ends_at: endsAt.toISOString(),
})

/** Raises TM_ALERTS_OFF where a server has none. */
export const needAlerts = (alerts: Alerts | undefined): Alerts => {
  if (!alerts) throw new TidemarkError('TM_ALERTS_OFF', {})
  return alerts
}

export const alertsList = async (alerts: Alerts, { status, limit }: z.output<typeof listRequest>): Promise<AlertsReport> => {
  const found = await alerts.list({ ...(status !== undefined && { status }), ...(limit !== undefined && { limit }) })
  return { alerts: found.map(alertView), silences: (await alerts.silences()).map(silenceView), channels: alerts.channels() }
}

/** A rule as people read it. */
export interface RuleView {
  readonly name: string
  readonly severity: string
  readonly says: string
  readonly entityType: string
  /** How long it has to hold before it is an alert. */
  readonly forMs: number
  readonly everyMs: number
  /** Rules that are quiet while this one fires. */
  readonly mutes: readonly string[]
}

export const alertsRules = ({ rules }: Pick<Alerts, 'rules'>): { readonly rules: readonly RuleView[] } => ({
  rules: rules.map(({ name, severity, says, entityType, forMs, everyMs, mutes }) => ({
    name,
    severity,
    says,
    entityType,
    forMs,
    everyMs,
    mutes,
  })),
})

export const alertsAck = async (alerts: Alerts, { id: which, actor: who }: z.output<typeof wordRequest>): Promise<AlertView> =>
  alertView(await alerts.acknowledge(which, who))

export const alertsResolve = async (
  alerts: Alerts,
  { id: which, actor: who }: z.output<typeof wordRequest>,
): Promise<AlertView> => alertView(await alerts.resolve(which, who))

export const alertsSilence = async (alerts: Alerts, request: z.output<typeof silenceRequest>): Promise<SilenceView> =>
  silenceView(await alerts.silence(request))

export const alertsUnsilence = async (
  alerts: Alerts,
  { id: which, actor: who }: z.output<typeof wordRequest>,
): Promise<SilenceView> => silenceView(await alerts.endSilence(which, who))

export const alertsTest = async (alerts: Alerts, { channel }: z.output<typeof testRequest>): Promise<TestReport> => {
  const from = performance.now()
  await alerts.test(channel)
  return { channel, delivered: true, tookMs: Math.round(performance.now() - from) }
}
