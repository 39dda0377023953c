import type { Caller } from '../../../auth/caller.js'
import { isTidemarkError } from '../../../errors.js'
import { Rate } from '../../hub/rate.js'
import type { Json } from '../../realtime.js'
import { toJson, type UserBroadcast } from './frames.js'
import type { Services } from './services.js'
import { encodeBody, topicOf } from './topic-body.js'

export interface ApiAnswer {
  readonly status: number
  /** None where there is nothing to say. */
  readonly body?: Json | undefined
}

/** One message, by the path of its request. */
export interface SingleMessage {
  readonly topic: string
  readonly event: string
  readonly private: boolean
  readonly encoding: 'json' | 'binary'
  readonly payload: Buffer
}

/** Broadcasts over HTTP. */
export interface BroadcastApi {
  /** `{messages: [{topic, event, payload, private}]}` */
  batch(body: unknown, caller: Caller): Promise<ApiAnswer>
  single(message: SingleMessage, caller: Caller): Promise<ApiAnswer>
}

type Errors = { [field: string]: Json }

interface Checked {
  readonly topic: string
  readonly isPrivate: boolean
  readonly broadcast: UserBroadcast
}

const accepted: ApiAnswer = { status: 202 }
const failed = (status: number, message: string): ApiAnswer => ({ status, body: { message } })
const invalid = (errors: Json): ApiAnswer => ({ status: 422, body: { errors } })

const blank = "can't be blank"
const tooLarge = 'Payload size exceeds tenant limit'

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textError = (value: unknown): readonly string[] => {
  if (value === undefined || value === null || value === '') return [blank]
  return typeof value === 'string' ? [] : ['is invalid']
}

const payloadErrors = (payload: unknown, json: string | undefined, maxBytes: number): readonly string[] => {
  if (payload === undefined || payload === null) return [blank]
  if (!isMap(payload) || json === undefined) return ['is invalid']
  return Buffer.byteLength(json) > maxBytes ? [tooLarge] : []
}

const checkMessage = (message: unknown, maxBytes: number): Checked | Errors => {
  const { topic, event, payload, private: isPrivate = false } = isMap(message) ? message : {}
  const json = toJson(payload)
  const found = {
    topic: textError(topic),
    event: textError(event),
    payload: payloadErrors(payload, json, maxBytes),
    private: isPrivate === null || typeof isPrivate === 'boolean' ? [] : ['is invalid'],
  }
  const errors = Object.entries(found).filter(([, list]) => list.length > 0)
  if (errors.length > 0 || json === undefined) return Object.fromEntries(errors)
  const broadcast: UserBroadcast = { event: event as string, encoding: 'json', payload: Buffer.from(json) }
  return { topic: topic as string, isPrivate: isPrivate === true, broadcast }
}

const isChecked = (value: Checked | Errors): value is Checked => 'broadcast' in value

/** Policies are asked once for each topic. */
class Policies {
  readonly #services: Services
  readonly #caller: Caller
  readonly #answers = new Map<string, Promise<boolean>>()

  constructor(services: Services, caller: Caller) {
    this.#services = services
    this.#caller = caller
  }

  mayWrite({ topic, isPrivate }: Checked): Promise<boolean> {
    if (!isPrivate) return Promise.resolve(!this.#services.privateOnly)
    const known = this.#answers.get(topic) ?? this.#ask(topic)
    this.#answers.set(topic, known)
    return known
  }

  async #ask(topic: string): Promise<boolean> {
    const { policies } = this.#services.parts() ?? {}
    return policies !== undefined && (await policies.check(topic, this.#caller)).broadcast.write
  }
}

export const createBroadcastApi = (services: Services): BroadcastApi => {
  const { limits, clock, log } = services
  const rate = new Rate(limits.httpMessagesPerSecond, 1000)

  const publish = async ({ topic, isPrivate, broadcast }: Checked): Promise<void> => {
    const parts = services.parts()
    await parts?.topics.publish({ topic: topicOf(topic, isPrivate), body: encodeBody({ kind: 'user', broadcast }) })
  }

  const attempt = async (work: () => Promise<ApiAnswer>): Promise<ApiAnswer> => {
    if (!services.parts()) return failed(503, 'Error connecting to Realtime')
    try {
      return await work()
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      log.warn('a broadcast was refused', { err: error })
      const code: string = error.code
      if (code === 'TM_REALTIME_CHANNEL_POLICY') return failed(422, 'RLS policy error')
      return failed(error.httpStatus === 503 ? 503 : 422, error.message)
    }
  }

  const batch = async (body: unknown, caller: Caller): Promise<ApiAnswer> => {
    const { messages } = isMap(body) ? body : { messages: undefined }
    if (messages === undefined || messages === null) return invalid({ messages: [blank] })
    if (!Array.isArray(messages)) return invalid({ messages: ['is invalid'] })
    if (messages.length > limits.httpMessagesPerSecond)
      return failed(429, 'Too many messages to broadcast, please reduce the batch size')
    const checked = messages.map((message: unknown) => checkMessage(message, limits.maxPayloadBytes))
    if (!checked.every(isChecked)) return invalid({ messages: checked.map((each) => (isChecked(each) ? {} : each)) })
    if (!rate.take(clock.monotonicMs(), checked.length)) return failed(429, 'You have exceeded your rate limit')
    const policies = new Policies(services, caller)
    // One by one: messages to one topic keep their order.
    for (const message of checked) if (await policies.mayWrite(message)) await publish(message)
    return accepted
  }

  const single = async (message: SingleMessage, caller: Caller): Promise<ApiAnswer> => {
    const { topic, event, encoding, payload } = message
    const errors = Object.entries({ topic: textError(topic), event: textError(event) }).filter(([, list]) => list.length > 0)
    if (errors.length > 0) return invalid(Object.fromEntries(errors))
    if (encoding === 'json' && payload.length === 0) return invalid({ payload: [blank] })
    if (payload.length > limits.maxPayloadBytes) return invalid({ payload: [tooLarge] })
    if (!rate.take(clock.monotonicMs())) return failed(429, 'You have exceeded your rate limit')
    const checked: Checked = { topic, isPrivate: message.private, broadcast: { event, encoding, payload } }
    if (!(await new Policies(services, caller).mayWrite(checked))) return failed(403, 'Unauthorized')
    await publish(checked)
    return accepted
  }

  return {
    batch: (body, caller) => attempt(() => batch(body, caller)),
    single: (message, caller) => attempt(() => single(message, caller)),
  }
}
