import { z } from 'zod'
import { boolean, durationMs, httpUrl, type Kind, text } from './kinds.js'
import { option } from './option.js'
import { isPlainObject } from './tree.js'
import { unknownMember } from './unknown-member.js'

/** One channel of the configuration; what is in it is looked at by whoever makes a channel of it. */
export interface AlertChannelInput {
  readonly type: 'webhook' | 'slack' | 'realtime' | 'log' | 'own'
  readonly url?: string
  readonly secret?: string | readonly string[]
  readonly topic?: string
  /** Of a channel of one's own: see `Channel`. */
  readonly send?: (...given: never[]) => Promise<object>
  readonly fallback?: string
  readonly maxPerMinute?: number
  readonly timeoutMs?: number
}

export type AlertChannelsInput = Readonly<Record<string, AlertChannelInput>>

const channelTypes = ['webhook', 'slack', 'realtime', 'log', 'own']
const needed: Readonly<Record<string, readonly string[]>> = {
  webhook: ['url', 'secret'],
  slack: ['url'],
  realtime: ['topic'],
  log: [],
  own: ['send'],
}

const guards = ['type', 'fallback', 'maxPerMinute', 'timeoutMs']

const isNumber = (value: unknown): boolean => value === undefined || (typeof value === 'number' && value > 0)

/** Nothing of a channel is quoted: it holds keys. */
const whyNoChannels = (value: unknown): string | undefined => {
  if (!isPlainObject(value)) return 'it is not an object of channels'
  for (const [name, channel] of Object.entries(value)) {
    if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) return `the name "${name}" of a channel is not lower case letters, digits and "-"`
    if (!isPlainObject(channel)) return `the channel "${name}" is no object`
    const type = String(channel['type'])
    if (!channelTypes.includes(type)) return `the channel "${name}" has none of the types ${channelTypes.join(', ')}`
    const missing = needed[type]?.find((member) => channel[member] === undefined)
    if (missing !== undefined) return `the channel "${name}" has no "${missing}"`
    const bad = ['maxPerMinute', 'timeoutMs'].find((member) => !isNumber(channel[member]))
    if (bad !== undefined) return `the "${bad}" of the channel "${name}" is no number above 0`
    const unknown = unknownMember(channel, [...guards, ...(needed[type] ?? [])])
    if (unknown !== undefined) return `of the channel "${name}" ${unknown}`
  }
  return undefined
}

const channels: Kind<AlertChannelsInput> = {
  schema: z.custom<AlertChannelsInput>().superRefine((value, context) => {
    const message = whyNoChannels(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }),
  fromText: () => undefined,
  expected: "an object such as { ops: { type: 'webhook', url, secret }, chat: { type: 'slack', url } }",
}

/** Objects that pass through as they are: who makes alerts of them looks at them. */
const objects = (what: string, example: string): Kind<readonly object[]> => ({
  schema: z.custom<readonly object[]>(
    (value) => Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null),
    { error: `it is not a list of ${what}` },
  ),
  fromText: () => undefined,
  expected: example,
})

const record = (what: string, example: string): Kind<Readonly<Record<string, object>>> => ({
  schema: z.custom<Readonly<Record<string, object>>>(
    (value) => isPlainObject(value) && Object.values(value).every((each) => isPlainObject(each)),
    { error: `it is not an object of ${what}` },
  ),
  fromText: () => undefined,
  expected: example,
})

const hosts: Kind<readonly string[]> = {
  schema: z.array(z.string({ error: 'a host in it is not text' }).min(1, { error: 'a host in it is empty' }), {
    error: 'it is not a list',
  }),
  fromText: (value) =>
    value
      .split(',')
      .map((host) => host.trim())
      .filter((host) => host !== ''),
  expected: 'names of hosts, addresses and networks such as hooks.internal,10.0.0.0/8',
  argument: 'hosts',
}

/** Addresses of such webhooks are secrets as a whole, not only what stands before their @. */
const { url: _shown, ...secretUrl } = httpUrl

const fileOnly = 'in a configuration file only. docs/alerts.md says how.'

export const alertsOptions = {
  'alerts.enabled': option(boolean, { help: 'Whether trouble becomes alerts.', default: true }),
  'alerts.webhookUrl': option<string>(secretUrl, {
    help: 'Where alerts are posted, signed as Standard Webhooks has it: the channel "webhook".',
    secret: true,
  }),
  'alerts.webhookSecret': option(
    text({
      pattern: /^(whsec_)?[A-Za-z0-9+/]{22,}={0,2}(,(whsec_)?[A-Za-z0-9+/]{22,}={0,2})*$/,
      reason: 'it is no base64 of at least 16 bytes',
      expected: 'whsec_ and at least 16 random bytes as base64; several, separated by commas, sign side by side',
    }),
    { help: 'Signs what goes to alerts.webhookUrl.', secret: true },
  ),
  'alerts.slackUrl': option<string>(secretUrl, {
    help: 'An incoming webhook of Slack, or of what takes the same: the channel "slack".',
    secret: true,
  }),
  'alerts.channels': option(channels, {
    help: `More channels, by name; ${fileOnly}`,
    env: [],
    defaultText: 'the log',
    secret: true,
  }),
  'alerts.routes': option(objects('routes', "a list such as [{ match: ['severity=critical'], channels: ['ops'] }]"), {
    help: `Which alerts go where, how soon and how often; ${fileOnly}`,
    env: [],
    default: [],
    defaultText: 'everything everywhere',
  }),
  'alerts.rules': option(objects('rules', 'a list of defineRule({ … })'), {
    help: `Rules besides those of every server; ${fileOnly}`,
    env: [],
    default: [],
    defaultText: 'none',
  }),
  'alerts.thresholds': option(
    record('changes by the names of rules', 'an object such as { disk: { below: 0.2 }, memory: { off: true } }'),
    {
      help: `Changes of rules that are there, by their names; ${fileOnly}`,
      env: [],
      default: {},
      defaultText: 'none',
    },
  ),
  'alerts.allowed': option(hosts, {
    help: 'Hosts, addresses and networks that alerts may be posted to although they are not of the public internet.',
    default: [],
    defaultText: 'none',
  }),
  'alerts.deadMansSwitch': option(
    text({
      pattern: /^[a-z][a-z0-9-]{0,39}$/,
      reason: 'it is no name of a channel',
      expected: 'the name of a channel',
      argument: 'channel',
    }),
    { help: 'Channel that gets a sign of life; whoever reads it raises the alarm when it stays away.', defaultText: 'none' },
  ),
  'alerts.deadMansSwitchEveryMs': option(durationMs(1000, 86_400_000), {
    help: 'How often a sign of life is sent.',
    default: 60_000,
  }),
  'alerts.lookEveryMs': option(durationMs(100, 600_000), { help: 'How often rules are looked at.', default: 2000 }),
  'alerts.resolveTimeoutMs': option(durationMs(1000, 86_400_000), {
    help: 'An alert that no server has seen for so long counts as over.',
    default: 300_000,
  }),
  'alerts.keepMs': option(durationMs(60_000, 3_650 * 86_400_000), {
    help: 'How long alerts that are over are kept.',
    default: 90 * 86_400_000,
    defaultText: '90 days',
  }),
} as const
