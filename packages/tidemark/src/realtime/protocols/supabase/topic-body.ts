/** Broadcasts on their way to all nodes. */
import type { UserBroadcast } from './frames.js'

/** Either a broadcast whose payload is told apart, or all of it as JSON, as it was sent in text. */
export type TopicBody =
  | { readonly kind: 'user'; readonly broadcast: UserBroadcast }
  | { readonly kind: 'json'; readonly json: string }

/** The name of a channel's topic among all nodes. A public and a private channel of one name have nothing in common. */
export const topicOf = (name: string, isPrivate: boolean): string => `supabase:${isPrivate ? 'private' : 'public'}:${name}`

/** What {@link topicOf} was made of. */
export const namesOf = (topic: string): { readonly topic: string; readonly private: boolean } => {
  const [, kind = '', ...name] = topic.split(':')
  return { topic: name.join(':'), private: kind === 'private' }
}

const kinds = { json: 1, userJson: 2, userBinary: 3 } as const

/** One byte of kind; of a user's broadcast then two lengths, the event, the metadata and the payload. */
export const encodeBody = (body: TopicBody): Buffer => {
  if (body.kind === 'json') return Buffer.concat([Buffer.from([kinds.json]), Buffer.from(body.json)])
  const { event, encoding, payload, meta = '' } = body.broadcast
  const [eventBytes, metaBytes] = [Buffer.from(event), Buffer.from(meta)]
  const head = Buffer.alloc(9)
  head[0] = encoding === 'json' ? kinds.userJson : kinds.userBinary
  head.writeUInt32BE(eventBytes.length, 1)
  head.writeUInt32BE(metaBytes.length, 5)
  return Buffer.concat([head, eventBytes, metaBytes, payload])
}

/** Undefined for what another version of this program may have written. */
export const decodeBody = (bytes: Buffer): TopicBody | undefined => {
  if (bytes[0] === kinds.json) return { kind: 'json', json: bytes.toString('utf8', 1) }
  if ((bytes[0] !== kinds.userJson && bytes[0] !== kinds.userBinary) || bytes.length < 9) return undefined
  const eventEnd = 9 + bytes.readUInt32BE(1)
  const metaEnd = eventEnd + bytes.readUInt32BE(5)
  if (metaEnd > bytes.length) return undefined
  const meta = bytes.toString('utf8', eventEnd, metaEnd)
  return {
    kind: 'user',
    broadcast: {
      event: bytes.toString('utf8', 9, eventEnd),
      encoding: bytes[0] === kinds.userJson ? 'json' : 'binary',
      payload: bytes.subarray(metaEnd),
      ...(meta !== '' && { meta }),
    },
  }
}
