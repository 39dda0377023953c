/** Who carries messages: one service over HTTP, each channel behind a breaker and a limit that all processes share. */
import type { Resilience } from 'tidemark'
import { createHttpService, type HttpService } from 'tidemark/app'
import { type Channel, channels } from '../rows.js'

export interface Message {
  readonly approval_id: string
  readonly lead_id: string
  readonly channel: Channel
  readonly action_type: string
  readonly to: string
  readonly subject: string | null
  readonly text: string
}

export interface Courier {
  /** Channels that are well, as far as is known. */
  open(): readonly Channel[]
  /** The service's own id of the message. `key` is the same for the same message. Raises CallError, TM_RESILIENCE_*, TM_TIME_TIMEOUT. */
  send(message: Message, key: string, signal: AbortSignal): Promise<string | null>
}

export interface CourierOptions {
  readonly url: string
  readonly key?: string | undefined
  readonly resilience: Pick<Resilience, 'guard'>
  readonly breaker: { readonly failureThreshold: number; readonly recoveryTimeoutMs: number }
  /** Messages of one channel in a minute. */
  readonly perMinute?: Readonly<Partial<Record<Channel, number>>>
}

const timeoutMs = 10_000

/** What carriers and platforms let a house of that size send: a minute's messages. */
const usualPerMinute: Readonly<Record<Channel, number>> = {
  email: 300,
  sms: 60,
  whatsapp: 60,
  telegram: 60,
  linkedin: 10,
  facebook: 20,
  phone: 10,
}

const messageIdOf = (answer: unknown): string | null => {
  const id = (answer as { readonly id?: unknown } | null | undefined)?.id
  return typeof id === 'string' || typeof id === 'number' ? String(id).slice(0, 256) : null
}

/** `POST /messages` with `Idempotency-Key`. */
export const createHttpCourier = ({ url, key: secret, resilience, breaker, perMinute }: CourierOptions): Courier => {
  const limits = { ...usualPerMinute, ...perMinute }
  const headers: Readonly<Record<string, string>> = secret === undefined ? {} : { authorization: `Bearer ${secret}` }
  const services = new Map<Channel, HttpService>(
    channels.map((channel) => {
      const limit = { limit: limits[channel], windowMs: 60_000 }
      const rules = { ...breaker, windowMs: 60_000, successesToClose: 1 }
      return [
        channel,
        createHttpService({ guard: resilience.guard(`send-${channel}`, { breaker: rules, limit, timeoutMs }), url, headers }),
      ]
    }),
  )
  return {
    open: () => channels.filter((channel) => services.get(channel)!.guard.options.breaker?.refusal() === undefined),
    send: async (message, key, signal) =>
      messageIdOf(await services.get(message.channel)!.call({ method: 'POST', path: '/messages', key, signal, body: message })),
  }
}
