/** Messages of Phoenix channels as Supabase's clients write and read them: JSON objects (1.0.0), JSON arrays and bytes (2.0.0). */
import { isUtf8 } from 'node:buffer'
import { binaryFrame, type Frame, textFrame } from '../../hub/frame.js'
import type { Json } from '../../realtime.js'

export type Version = '1.0.0' | '2.0.0'

/** As a client wrote it; told back to it unchanged. */
export type Ref = string | number | null

/** A broadcast whose payload nobody on the way has to read. */
export interface UserBroadcast {
  readonly event: string
  readonly encoding: 'json' | 'binary'
  /** Of `json`: valid JSON in valid UTF-8. */
  readonly payload: Buffer
  /** JSON of an object. */
  readonly meta?: string | undefined
}

export interface ClientMessage {
  readonly joinRef: Ref
  readonly ref: Ref
  readonly topic: string
  readonly event: string
  /** Parsed JSON; of a message in bytes undefined. */
  readonly payload: unknown
  /** Of a message in bytes; undefined there where what it calls JSON is none. */
  readonly broadcast?: UserBroadcast | undefined
}

const kindUserBroadcastPush = 3
const kindUserBroadcast = 4
const encodingBinary = 0
const encodingJson = 1
const longestField = 255

const isRef = (value: unknown): value is Ref | undefined =>
  value === null || value === undefined || typeof value === 'string' || typeof value === 'number'

const messageOf = (
  joinRef: unknown,
  ref: unknown,
  topic: unknown,
  event: unknown,
  payload: unknown,
): ClientMessage | undefined => {
  if (!isRef(joinRef) || !isRef(ref) || typeof topic !== 'string' || typeof event !== 'string') return undefined
  return { joinRef: joinRef ?? null, ref: ref ?? null, topic, event, payload }
}

const decodeText = (text: string, version: Version): ClientMessage | undefined => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (version === '2.0.0') {
    if (!Array.isArray(value) || value.length < 5) return undefined
    return messageOf(value[0], value[1], value[2], value[3], value[4])
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { join_ref, ref, topic, event, payload } = value as Readonly<Record<string, unknown>>
  return messageOf(join_ref, ref, topic, event, payload)
}

/** Clients in JavaScript write each character's lowest byte where UTF-8 belongs. */
const textOf = (bytes: Buffer): string => bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1')

/** Whether a payload may go into the frames of other clients as it is: what is no JSON would be a frame of the sender's making. */
export const isJson = (bytes: Buffer): boolean => {
  if (!isUtf8(bytes)) return false
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

const decodeBinary = (data: Buffer): ClientMessage | undefined => {
  if (data.length < 7 || data[0] !== kindUserBroadcastPush) return undefined
  let offset = 7
  const fields: Buffer[] = []
  for (let index = 1; index <= 5; index++) {
    const end = offset + data[index]!
    if (end > data.length) return undefined
    fields.push(data.subarray(offset, end))
    offset = end
  }
  const [joinRef, ref, topic, event] = fields.map(textOf) as [string, string, string, string]
  const encoding = data[6] === encodingBinary ? 'binary' : 'json'
  const payload = data.subarray(offset)
  const refOf = (text: string): Ref => (text === '' ? null : text)
  const broadcast: UserBroadcast | undefined = encoding === 'binary' || isJson(payload) ? { event, encoding, payload } : undefined
  return { joinRef: refOf(joinRef), ref: refOf(ref), topic, event: 'broadcast', payload: undefined, broadcast }
}

/** What a client sent; undefined where it is no message of the version. Never raises. */
export const decodeMessage = (data: Buffer, isBinary: boolean, version: Version): ClientMessage | undefined => {
  if (isBinary) return version === '2.0.0' ? decodeBinary(data) : undefined
  return decodeText(data.toString(), version)
}

/** As JSON; undefined for what has none, or nests too deeply. */
export const toJson = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

const textMessage = (version: Version, joinRef: Ref, ref: Ref, topic: string, event: string, payloadJson: string): Frame =>
  textFrame(
    version === '2.0.0'
      ? `[${JSON.stringify(joinRef)},${JSON.stringify(ref)},${JSON.stringify(topic)},${JSON.stringify(event)},${payloadJson}]`
      : `{"event":${JSON.stringify(event)},"payload":${payloadJson},"ref":${JSON.stringify(ref)},"topic":${JSON.stringify(topic)}}`,
  )

/** Something for a channel. `joinRef` is null in what is the same for all clients. */
export const pushFrame = (version: Version, joinRef: Ref, topic: string, event: string, payloadJson: string): Frame =>
  textMessage(version, joinRef, null, topic, event, payloadJson)

/** The beginning of a push whose payload follows, and of which {@link endOfPush} is the end. It is the same for all clients. */
export const beginningOfPush = (version: Version, topic: string, event: string): string =>
  version === '2.0.0'
    ? `[null,null,${JSON.stringify(topic)},${JSON.stringify(event)},`
    : `{"topic":${JSON.stringify(topic)},"ref":null,"event":${JSON.stringify(event)},"payload":`

export const endOfPush = (version: Version): string => (version === '2.0.0' ? ']' : '}')

export type ReplyStatus = 'ok' | 'error'

export const replyFrame = (
  version: Version,
  { joinRef, ref, topic }: Pick<ClientMessage, 'joinRef' | 'ref' | 'topic'>,
  status: ReplyStatus,
  response: Json | object = {},
): Frame => textMessage(version, joinRef, ref, topic, 'phx_reply', JSON.stringify({ status, response }))

/** The end of a channel: `phx_close` for good, `phx_error` where the client is to join again. */
export const endFrame = (version: Version, joinRef: Ref, topic: string, event: 'phx_close' | 'phx_error'): Frame =>
  textMessage(version, joinRef, joinRef, topic, event, '{}')

const broadcastJson = ({ event, payload, meta }: UserBroadcast): string =>
  `{"event":${JSON.stringify(event)},${meta === undefined ? '' : `"meta":${meta},`}"payload":${payload.toString()},"type":"broadcast"}`

const bytesOf = (topic: string, { event, encoding, payload, meta = '' }: UserBroadcast): Frame | undefined => {
  const fields = [topic, event, meta].map((text) => Buffer.from(text))
  if (fields.some(({ length }) => length > longestField)) return undefined
  const sizes = fields.map(({ length }) => length)
  const head = Buffer.from([kindUserBroadcast, ...sizes, encoding === 'binary' ? encodingBinary : encodingJson])
  return binaryFrame(Buffer.concat([head, ...fields, payload]))
}

/** A broadcast for everybody in a channel; undefined where this version has no words for it. */
export const broadcastFrame = (version: Version, topic: string, broadcast: UserBroadcast): Frame | undefined => {
  const bytes = version === '2.0.0' ? bytesOf(topic, broadcast) : undefined
  if (bytes || broadcast.encoding === 'binary') return bytes
  return pushFrame(version, null, topic, 'broadcast', broadcastJson(broadcast))
}
