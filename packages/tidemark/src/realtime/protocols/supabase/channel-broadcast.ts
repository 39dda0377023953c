import type { ChannelContext } from './channel-context.js'
import { type ClientMessage, toJson } from './frames.js'
import type { JoinRequest } from './join-request.js'
import { encodeBody, type TopicBody } from './topic-body.js'

/** Who broadcasts, and to whom. */
export interface Broadcasting {
  readonly channel: ChannelContext
  readonly request: JoinRequest
  /** Of the listener that does not hear its own messages. */
  readonly id: string
  readonly topicKey: string
  readonly mayWrite: boolean
}

/** What is to be told to whoever listens; a text says why there is none. */
const bodyOf = ({ broadcast, payload }: ClientMessage, maxBytes: number): TopicBody | string => {
  const tooLarge = 'payload_size_exceeded'
  if (broadcast) return broadcast.payload.length > maxBytes ? tooLarge : { kind: 'user', broadcast }
  const isMap = typeof payload === 'object' && payload !== null && !Array.isArray(payload)
  const json = isMap ? toJson(payload) : undefined
  if (json === undefined) return 'Broadcast payload must be a map'
  return Buffer.byteLength(json) > maxBytes ? tooLarge : { kind: 'json', json }
}

const publish = async (message: ClientMessage, broadcasting: Broadcasting): Promise<string | undefined> => {
  const { channel, request, id, topicKey, mayWrite } = broadcasting
  const { limits, log } = channel.services
  if (!mayWrite) return `You do not have permissions to write to this Channel topic: ${channel.name}`
  const body = bodyOf(message, limits.maxPayloadBytes)
  if (typeof body === 'string') return body
  const topics = channel.services.parts()?.topics
  if (!topics) return 'Realtime is restarting, please standby'
  try {
    await topics.publish({ topic: topicKey, body: encodeBody(body), ...(!request.self && { except: id }) })
    return undefined
  } catch (err) {
    log.warn('a broadcast was lost', { err })
    return 'The message could not be sent'
  }
}

/** Sends a client's broadcast on its way. It is answered where the client has asked for acknowledgements. */
export const broadcast = async (message: ClientMessage, broadcasting: Broadcasting): Promise<void> => {
  const reason = await publish(message, broadcasting)
  const { channel, request } = broadcasting
  if (!request.ack) return
  if (reason === undefined) channel.reply(message, 'ok')
  else channel.reply(message, 'error', { reason })
}
