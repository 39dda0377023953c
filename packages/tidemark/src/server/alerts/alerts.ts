/** The alerts of a server: its rules, its channels, and what they need of it. */
import { hostname } from 'node:os'
import type { ChannelDefinition } from '../../alerts/channels/create-channels.js'
import type { Broadcast } from '../../alerts/channels/inner-channels.js'
import type { RouteInput } from '../../alerts/notify/routes.js'
import type { Alerts } from '../../alerts/open-alerts.js'
import type { Rule, RuleInput } from '../../alerts/rules/rule.js'
import type { Threshold } from '../../alerts/rules/tune-rules.js'
import type { TidemarkConfig } from '../../config/config.js'
import type { Logger } from '../../observability/observability.js'
import type { State } from '../../state/state.js'
import type { Observation } from '../observation/observation.js'
import type { Project } from '../project/project.js'
import type { ServerTopics } from '../realtime/realtime-topics.js'
import type { Runtime } from '../runtime.js'
import { createAlertProbes } from './alert-probes.js'

export interface ServerAlerts {
  readonly alerts: Alerts
  /** From now on alerts reach clients of realtime. */
  attachTopics(topics: ServerTopics): void
  stop(): Promise<void>
}

export interface ServerAlertsOptions {
  readonly config: TidemarkConfig
  readonly state: State
  readonly runtime: Runtime
  readonly observation: Observation
  project(): Project
  readonly log: Logger
}

/** Those of the configuration; the log where there is no other. */
export const channelsOf = ({ alerts }: Pick<TidemarkConfig, 'alerts'>): Readonly<Record<string, ChannelDefinition>> => {
  const { webhookUrl, webhookSecret, slackUrl, channels } = alerts
  const given: Record<string, ChannelDefinition> = { ...(channels as unknown as Readonly<Record<string, ChannelDefinition>>) }
  if (webhookUrl !== undefined)
    given['webhook'] ??= { type: 'webhook', url: webhookUrl, secret: (webhookSecret ?? '').split(',') }
  if (slackUrl !== undefined) given['slack'] ??= { type: 'slack', url: slackUrl }
  return Object.keys(given).length > 0 ? given : { log: { type: 'log' } }
}

/** Rules that were made by defineRule pass; a plain object becomes one. Raises TM_ALERTS_RULE. */
export const rulesOf = async ({ alerts }: Pick<TidemarkConfig, 'alerts'>): Promise<readonly Rule[]> => {
  const [{ standardRules }, { tuneRules }, { defineRule }] = await Promise.all([
    import('../../alerts/rules/standard-rules.js'),
    import('../../alerts/rules/tune-rules.js'),
    import('../../alerts/rules/rule.js'),
  ])
  const own = alerts.rules.map((rule) => ('forMs' in rule ? (rule as Rule) : defineRule(rule as RuleInput)))
  return tuneRules(standardRules, alerts.thresholds as Readonly<Record<string, Threshold>>, own)
}

/** To the private topic: who may listen to it is for the policies of `realtime.messages` to say. */
const createBroadcast = () => {
  let topics: ServerTopics | undefined
  const broadcast: Broadcast = async (topic, event, payload) => {
    if (!topics) throw new Error('realtime is not open')
    const { encodeBody, topicOf } = await import('../../realtime/protocols/supabase/topic-body.js')
    const message = { event, encoding: 'json' as const, payload: Buffer.from(JSON.stringify(payload)) }
    await topics.topics.publish({ topic: topicOf(topic, true), body: encodeBody({ kind: 'user', broadcast: message }) })
  }
  return {
    broadcast,
    attach: (given: ServerTopics) => {
      topics = given
    },
  }
}

/** Opens and starts the alerts of this process. Raises TM_ALERTS_* for a configuration that cannot be kept. */
export const openServerAlerts = async (options: ServerAlertsOptions): Promise<ServerAlerts> => {
  const { config, state, runtime, observation, project } = options
  const { openAlerts } = await import('../../alerts/open-alerts.js')
  const log = options.log.child('alerts')
  const { metrics, health, signals } = observation
  const realtime = createBroadcast()
  const { allowed, deadMansSwitch, deadMansSwitchEveryMs, lookEveryMs, resolveTimeoutMs, keepMs } = config.alerts
  const pool = runtime.pools.primary
  const alerts = await openAlerts({
    pool,
    redis: runtime.redis.redis,
    folder: state.path('journal'),
    rules: await rulesOf(config),
    channels: channelsOf(config),
    // What is in a route is for the alerts to judge.
    routes: config.alerts.routes as readonly RouteInput[],
    allowed,
    broadcast: realtime.broadcast,
    metrics,
    health,
    signals,
    refresh: () => observation.refreshGauges(),
    lookEveryMs,
    resolveTimeoutMs,
    keepMs,
    node: `${hostname()}:${process.pid}`,
    log,
    ...(deadMansSwitch !== undefined && { deadMansSwitch: { channel: deadMansSwitch, everyMs: deadMansSwitchEveryMs } }),
  })
  const probes = createAlertProbes({ metrics, pool, folders: { state: state.dir }, project, log })
  const forget = health.register(alerts.healthCheck)
  alerts.start()
  probes.start()
  return {
    alerts,
    attachTopics: realtime.attach,
    stop: async () => {
      forget()
      await probes.stop()
      await alerts.stop()
    },
  }
}
