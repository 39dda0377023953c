import { isTidemarkError } from '../../../errors.js'
import { kindOf } from './channel-name.js'
import { maxBatchEvents, type PusherApp, PusherRefusal } from './pusher.js'
import type { Event, PusherChannels } from './pusher-channels.js'
import { checkRequest, type SignedRequest } from './signature.js'

export interface PusherAnswer {
  readonly status: number
  /** JSON on success; text that explains where not. */
  readonly body: string
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpApiOptions {
  readonly app: PusherApp
  readonly channels: PusherChannels
  /** Wall time in milliseconds. */
  now(): number
}

type Fields = Readonly<Record<string, unknown>>

const json = (body: object): PusherAnswer => ({ status: 200, body: JSON.stringify(body), contentType: 'application/json' })

const refused = (status: number, message: string): PusherAnswer => ({
  status,
  body: message,
  contentType: 'text/plain; charset=utf-8',
})

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const bodyOf = (body: Buffer): Fields => {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    throw new PusherRefusal(400, 'The body is not valid JSON')
  }
  if (!isFields(value)) throw new PusherRefusal(400, 'The body has to be a JSON object')
  return value
}

/** `info`: what is asked for, separated by commas. */
const attributesOf = (info: unknown, known: readonly string[]): readonly string[] => {
  if (info === undefined || info === null || info === '') return []
  if (typeof info !== 'string') throw new PusherRefusal(400, 'Invalid parameter: info has to be a string')
  const attributes = info.split(',').map((attribute) => attribute.trim())
  const unknown = attributes.find((attribute) => !known.includes(attribute))
  if (unknown !== undefined) throw new PusherRefusal(400, `Invalid info attribute: ${unknown.slice(0, 100)}`)
  return attributes
}

const eventAttributes = ['user_count', 'subscription_count']

const shown = async (channels: PusherChannels, channel: string, attributes: readonly string[]): Promise<object> => {
  if (attributes.length === 0) return {}
  const { subscriptionCount, userCount } = await channels.info(channel)
  return {
    ...(attributes.includes('user_count') && userCount !== undefined && { user_count: userCount }),
    ...(attributes.includes('subscription_count') && { subscription_count: subscriptionCount }),
  }
}

/** The fields of one event; `channel` in place of `channels` where there is one. */
const eventOf = (channels: PusherChannels, { name, data, channels: many, channel, socket_id }: Fields): Event =>
  channels.checked({
    name,
    data,
    channels: many ?? (channel === undefined ? undefined : [channel]),
    socketId: socket_id ?? undefined,
  })

const trigger = async (channels: PusherChannels, fields: Fields): Promise<object> => {
  const event = eventOf(channels, fields)
  const attributes = attributesOf(fields['info'], eventAttributes)
  await channels.send(event)
  if (attributes.length === 0) return {}
  const entries = event.channels.map(async (channel) => [channel, await shown(channels, channel, attributes)] as const)
  return { channels: Object.fromEntries(await Promise.all(entries)) }
}

const triggerBatch = async (channels: PusherChannels, { batch }: Fields): Promise<object> => {
  if (!Array.isArray(batch) || !batch.every(isFields)) throw new PusherRefusal(400, 'Missing required parameter: batch')
  if (batch.length > maxBatchEvents) throw new PusherRefusal(400, `Cannot trigger more than ${maxBatchEvents} events in a batch`)
  // None goes out where one of them is refused.
  const wanted = batch.map((fields) => ({
    event: eventOf(channels, fields),
    attributes: attributesOf(fields['info'], eventAttributes),
  }))
  for (const { event } of wanted) await channels.send(event)
  if (wanted.every(({ attributes }) => attributes.length === 0)) return {}
  return {
    batch: await Promise.all(wanted.map(({ event, attributes }) => shown(channels, event.channels[0] ?? '', attributes))),
  }
}

const listChannels = async (channels: PusherChannels, query: URLSearchParams): Promise<object> => {
  const prefix = query.get('filter_by_prefix') ?? ''
  const attributes = attributesOf(query.get('info') ?? undefined, eventAttributes)
  if (attributes.includes('user_count') && !prefix.startsWith('presence-')) {
    throw new PusherRefusal(
      400,
      'user_count may only be requested for presence channels - please supply filter_by_prefix beginning with presence-',
    )
  }
  const occupied = await channels.occupied(prefix)
  const entries = [...occupied.keys()].map(async (channel) => [channel, await shown(channels, channel, attributes)] as const)
  return { channels: Object.fromEntries(await Promise.all(entries)) }
}

const showChannel = async (channels: PusherChannels, channel: string, query: URLSearchParams): Promise<object> => {
  const attributes = attributesOf(query.get('info') ?? undefined, [...eventAttributes, 'cache'])
  const { access, cache } = kindOf(channel)
  if (attributes.includes('user_count') && access !== 'presence') {
    throw new PusherRefusal(400, 'Cannot retrieve the user count unless the channel is a presence channel')
  }
  if (attributes.includes('cache') && !cache) throw new PusherRefusal(400, 'Cannot retrieve the cache of a channel that has none')
  const { occupied } = await channels.info(channel)
  const last = attributes.includes('cache') ? await channels.lastEvent(channel) : undefined
  return {
    occupied,
    ...(await shown(channels, channel, attributes)),
    ...(last !== undefined && { cache: { data: (JSON.parse(last) as Fields)['data'] } }),
  }
}

const listUsers = (channels: PusherChannels, channel: string): object => {
  if (kindOf(channel).access !== 'presence') {
    throw new PusherRefusal(400, 'Users can only be retrieved for presence channels')
  }
  return { users: [...channels.presence(channel).keys()].map((id) => ({ id })) }
}

interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: RegExp
  answer(channels: PusherChannels, request: SignedRequest, name: string): Promise<object> | object
}

const routes: readonly Route[] = [
  { method: 'POST', path: /^\/events$/, answer: (channels, { body }) => trigger(channels, bodyOf(body)) },
  { method: 'POST', path: /^\/batch_events$/, answer: (channels, { body }) => triggerBatch(channels, bodyOf(body)) },
  { method: 'GET', path: /^\/channels$/, answer: (channels, { query }) => listChannels(channels, query) },
  { method: 'GET', path: /^\/channels\/([^/]+)$/, answer: (channels, { query }, name) => showChannel(channels, name, query) },
  { method: 'GET', path: /^\/channels\/([^/]+)\/users$/, answer: (channels, _request, name) => listUsers(channels, name) },
  {
    method: 'POST',
    path: /^\/users\/([^/]+)\/terminate_connections$/,
    answer: async (channels, _request, name) => {
      await channels.terminate(name)
      return {}
    },
  },
]

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new PusherRefusal(400, 'The path is not valid')
  }
}

const answer = async ({ app, channels, now }: HttpApiOptions, request: SignedRequest): Promise<PusherAnswer> => {
  const [, id, rest = ''] = /^\/apps\/([^/]+)(\/.*)?$/.exec(request.path) ?? []
  if (id !== app.id) throw new PusherRefusal(404, 'Unknown app_id')
  checkRequest(app, request, now())
  const found = routes.filter(({ path }) => path.test(rest))
  if (found.length === 0) throw new PusherRefusal(404, 'There is nothing at this path')
  const route = found.find(({ method }) => method === request.method)
  if (route === undefined) throw new PusherRefusal(405, 'This path takes another method')
  return json(await route.answer(channels, request, decoded(route.path.exec(rest)?.[1] ?? '')))
}

/** Answers a request of a server library. */
export const handleRequest = async (options: HttpApiOptions, request: SignedRequest): Promise<PusherAnswer> => {
  try {
    return await answer(options, request)
  } catch (error) {
    if (error instanceof PusherRefusal) return refused(error.status, error.message)
    if (isTidemarkError(error, 'TM_REALTIME_BROADCAST')) {
      return { ...refused(503, 'The event did not reach all servers'), headers: { 'retry-after': '1' } }
    }
    throw error
  }
}
