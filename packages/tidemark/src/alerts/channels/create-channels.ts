import { reasonOf, TidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { Channel } from '../alerts.js'
import type { GuardedChannel } from '../notify/dispatcher.js'
import { type AddressRules, addressRules } from './address-guard.js'
import type { Lookup } from './guarded-post.js'
import { type Broadcast, createLogChannel, createRealtimeChannel } from './inner-channels.js'
import { createSlackChannel } from './slack-channel.js'
import { secretBytes } from './standard-signature.js'
import { createWebhookChannel } from './webhook-channel.js'

interface Guards {
  /** Who is told where this one does not take it. */
  readonly fallback?: string
  /** Default 60. What is more waits, and goes out together. */
  readonly maxPerMinute?: number
  /** Of one attempt. Default 5,000. */
  readonly timeoutMs?: number
}

export interface WebhookDefinition extends Guards {
  readonly type: 'webhook'
  readonly url: string
  /** `whsec_…`, or base64; several sign side by side. */
  readonly secret: string | readonly string[]
}

export interface SlackDefinition extends Guards {
  readonly type: 'slack'
  readonly url: string
}

export interface RealtimeDefinition extends Guards {
  readonly type: 'realtime'
  readonly topic: string
}

export interface LogDefinition extends Guards {
  readonly type: 'log'
}

/** A channel of an application's own. */
export interface OwnDefinition extends Guards {
  readonly type: 'own'
  readonly send: Channel['send']
}

export type ChannelDefinition = WebhookDefinition | SlackDefinition | RealtimeDefinition | LogDefinition | OwnDefinition

export interface CreateChannelsOptions {
  readonly definitions: Readonly<Record<string, ChannelDefinition>>
  /** Hosts, addresses and networks that may be called although they are not public. */
  readonly allowed: readonly string[]
  readonly broadcast: Broadcast | undefined
  readonly log: Logger
  readonly lookup?: Lookup
}

const bad = (channel: string, reason: string): TidemarkError => new TidemarkError('TM_ALERTS_CHANNEL', { channel, reason })

/** Nothing of an address is repeated: it may be a secret. */
const urlOf = (channel: string, text: string): URL => {
  if (!URL.canParse(text)) throw bad(channel, 'its address is no URL')
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw bad(channel, 'its address is neither https nor http')
  if (url.username !== '' || url.password !== '') throw bad(channel, 'its address carries a login')
  return url
}

const secretsOf = (channel: string, given: WebhookDefinition['secret']): readonly Buffer[] => {
  const secrets = [given].flat().map((secret) => secretBytes(String(secret)))
  if (secrets.length === 0 || secrets.includes(undefined)) throw bad(channel, 'its secret is no base64 of at least 16 bytes')
  return secrets as readonly Buffer[]
}

const rulesOf = (allowed: readonly string[]): AddressRules => {
  try {
    return addressRules(allowed)
  } catch (error) {
    throw new TidemarkError('TM_ALERTS_CHANNEL', { channel: 'alerts.allowed', reason: reasonOf(error) })
  }
}

/** The channels of a configuration. Raises TM_ALERTS_CHANNEL. */
export const createChannels = ({
  definitions,
  allowed,
  broadcast,
  log,
  lookup,
}: CreateChannelsOptions): readonly GuardedChannel[] => {
  const rules = rulesOf(allowed)
  const names = Object.keys(definitions)
  const create = (name: string, definition: ChannelDefinition) => {
    const shared = { name, rules, ...(lookup && { lookup }) }
    switch (definition.type) {
      case 'webhook':
        return createWebhookChannel({ ...shared, url: urlOf(name, definition.url), secrets: secretsOf(name, definition.secret) })
      case 'slack':
        return createSlackChannel({ ...shared, url: urlOf(name, definition.url) })
      case 'realtime':
        if (!broadcast) throw bad(name, 'this server has no realtime')
        return createRealtimeChannel(name, definition.topic, broadcast)
      case 'log':
        return createLogChannel(name, log)
      case 'own':
        return { name, send: definition.send }
    }
  }
  return Object.entries(definitions).map(([name, definition]) => {
    const { fallback, maxPerMinute = 60, timeoutMs = 5000 } = definition
    if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) throw bad(name.slice(0, 40), 'its name is not lower case letters, digits and "-"')
    if (fallback !== undefined && (fallback === name || !names.includes(fallback)))
      throw bad(name, 'its fallback is no other channel')
    return { channel: create(name, definition), fallback, maxPerMinute, timeoutMs, isHint: false }
  })
}
