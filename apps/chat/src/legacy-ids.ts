/** Ids of the time before Postgres were any text; here they are uuids made of that text, always the same for the same text. */
import { createHash } from 'node:crypto'

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => uuidForm.test(text)

/** Never change it: every imported id hangs on it. */
const namespace = Buffer.from('5d0c6c0e1f5b4a7e9a3d2f6b8c714e90', 'hex')

/** The uuid (version 5) of a name in this app's namespace. */
const uuidOf = (name: string): string => {
  const bytes = createHash('sha1').update(namespace).update(name, 'utf8').digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x50
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

const idOf = (kind: 'user' | 'chat', legacyId: string): string =>
  isUuid(legacyId) ? legacyId.toLowerCase() : uuidOf(`${kind}:${legacyId}`)

/** The user of a token's subject, or of a chat in Redis. */
export const userIdOf = (legacyId: string): string => idOf('user', legacyId)

/** The chat of an address: those of old links are found under their old ids. */
export const sessionIdOf = (legacyId: string): string => idOf('chat', legacyId)

/** A message by its own id where it has one, by its place where it has none. */
export const messageIdOf = (chatKey: string, message: string | number): string =>
  uuidOf(typeof message === 'number' ? `message:${chatKey}[${message}]` : `message:${chatKey}#${message}`)
