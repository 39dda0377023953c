import { createHash, createHmac } from 'node:crypto'
import { TidemarkError } from '../../errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { sendTo } from './http-target.js'
import type { RelayMessage, RelayTarget } from './relay.js'

export interface PusherTargetOptions {
  /** `https://KEY:SECRET@api-CLUSTER.pusher.com/apps/APP_ID`, as Pusher gives it; of a server of Tidemark its own address in place of Pusher's. */
  readonly url: string
  /** Default 10 KiB, which is Pusher's. */
  readonly maxDataBytes?: number
  /** Default 5 s. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

export interface PusherAddress {
  /** `https://api-eu.pusher.com`. */
  readonly origin: string
  /** `/apps/123`. */
  readonly path: string
  readonly key: string
  readonly secret: string
}

/** Raises TM_REALTIME_RELAY_TARGET, which quotes neither key nor secret. */
export const parsePusherUrl = (text: string): PusherAddress => {
  const refuse = (reason: string): never => {
    throw new TidemarkError('TM_REALTIME_RELAY_TARGET', { target: 'Pusher', reason })
  }
  if (!URL.canParse(text)) return refuse('its address is no URL')
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('its address is neither http nor https')
  if (url.username === '' || url.password === '') return refuse('its address has no KEY:SECRET@ before the host')
  const path = url.pathname.replace(/\/$/, '')
  if (!/\/apps\/[^/]+$/.test(path)) return refuse('its address does not end in /apps/ and the id of the app')
  const [key, secret] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  if (!/^[\w.-]+$/.test(key)) return refuse('its key has characters that no key has')
  return { origin: url.origin, path, key, secret }
}

/**
 * The query that signs a request: keys in order, then their signature. Written here rather than taken from Pusher's own library, which brings an
 * HTTP client of its own and no way to end a request: signing is these lines.
 */
export const signedQuery = (
  { key, secret }: Pick<PusherAddress, 'key' | 'secret'>,
  path: string,
  body: string,
  nowMs: number,
): string => {
  const md5 = createHash('md5').update(body).digest('hex')
  const query = `auth_key=${key}&auth_timestamp=${Math.floor(nowMs / 1000)}&auth_version=1.0&body_md5=${md5}`
  const signature = createHmac('sha256', secret).update(`POST\n${path}\n${query}`).digest('hex')
  return `${query}&auth_signature=${signature}`
}

const channelForm = /^[-\w=@,.;]{1,164}$/

/** Encrypted channels are refused: what is sent to one has to be encrypted before, with a key that the relay is not to know. */
const refusal = ({ channel, event }: RelayMessage): string | undefined => {
  if (!channelForm.test(channel)) return 'the name of its channel is not one of Pusher'
  if (channel.startsWith('private-encrypted-')) return 'its channel is encrypted'
  return event.length > 200 ? 'its name is longer than 200 characters' : undefined
}

/** Pusher in the cloud, or whatever speaks its HTTP API. Raises TM_REALTIME_RELAY_TARGET. */
export const createPusherTarget = (options: PusherTargetOptions): RelayTarget => {
  const { maxDataBytes = 10_240, timeoutMs = 5_000, clock = systemClock } = options
  const address = parsePusherUrl(options.url)
  const path = `${address.path}/batch_events`
  const name = `Pusher at ${new URL(address.origin).host}`
  return {
    name,
    maxBatch: 10,
    maxDataBytes,
    refuses: refusal,
    send: async (messages, signal) => {
      const batch = messages.map(({ channel, event, data, id }) => ({
        name: event,
        channel,
        data: JSON.stringify({ ...data, event_id: id }),
      }))
      const body = JSON.stringify({ batch })
      const url = `${address.origin}${path}?${signedQuery(address, path, body, clock.now())}`
      await sendTo(name, url, { body, timeoutMs, signal })
    },
  }
}
