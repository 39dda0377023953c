import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { TidemarkError } from '../../errors.js'

/** Several keys, so that one can follow the other: values under each are read, new ones are written under the current one. */
export interface EncryptionOptions {
  /** By name: 32 bytes as base64 or hex. At most some four billion values should be written under one. */
  readonly keys: Readonly<Record<string, string>>
  /** The name of the key that new values are written under. */
  readonly current: string
}

/** AES-256-GCM: what it opens was sealed by somebody who has the key, for this very place. */
export interface ValueCipher {
  /** `place`: what the sealed bytes belong to; they open nowhere else. */
  seal(content: Uint8Array, place: Uint8Array): Buffer
  /** Undefined where the key is not known, or the bytes or their place are not what was sealed. */
  open(sealed: Buffer, place: Uint8Array): Buffer | undefined
}

const algorithm = 'aes-256-gcm'
const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16
const validName = /^[\w-]{1,32}$/

const invalid = (reason: string) => new TidemarkError('TM_CACHE_ENCRYPTION_KEY', { reason })

/** Undefined where the text is no key. Never says why: that would be about the key. */
const parseKey = (text: unknown): Buffer | undefined => {
  if (typeof text !== 'string') return undefined
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (!/^(?:[A-Za-z0-9+/]{43}=?|[\w-]{43}=?)$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === keyBytes ? bytes : undefined
}

const readKeys = ({ keys, current }: EncryptionOptions): ReadonlyMap<string, KeyObject> => {
  const read = new Map<string, KeyObject>()
  for (const [name, text] of Object.entries(keys)) {
    // What is no name is not repeated: it may be the key, put into the wrong place.
    if (!validName.test(name)) throw invalid('a key has a name that is none')
    const bytes = parseKey(text)
    if (bytes === undefined) throw invalid(`the key "${name}" is not 32 bytes as base64 or hex`)
    read.set(name, createSecretKey(bytes))
  }
  if (!read.has(current)) throw invalid(validName.test(current) ? `there is no key "${current}"` : 'the current key is not named')
  return read
}

/** Raises TM_CACHE_ENCRYPTION_KEY. */
export const createValueCipher = (options: EncryptionOptions): ValueCipher => {
  const keys = readKeys(options)
  const currentKey = keys.get(options.current)!
  const currentName = Buffer.concat([Buffer.of(options.current.length), Buffer.from(options.current, 'latin1')])

  const seal = (content: Uint8Array, place: Uint8Array): Buffer => {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv(algorithm, currentKey, nonce, { authTagLength: tagBytes })
    cipher.setAAD(Buffer.concat([currentName, place]))
    const body = cipher.update(content)
    cipher.final()
    return Buffer.concat([currentName, nonce, body, cipher.getAuthTag()])
  }

  const open = (sealed: Buffer, place: Uint8Array): Buffer | undefined => {
    const nameEnd = 1 + (sealed[0] ?? 0)
    const bodyFrom = nameEnd + nonceBytes
    const bodyTo = sealed.length - tagBytes
    const key = keys.get(sealed.toString('latin1', 1, nameEnd))
    if (key === undefined || bodyFrom > bodyTo) return undefined
    const decipher = createDecipheriv(algorithm, key, sealed.subarray(nameEnd, bodyFrom), { authTagLength: tagBytes })
    decipher.setAAD(Buffer.concat([sealed.subarray(0, nameEnd), place]))
    decipher.setAuthTag(sealed.subarray(bodyTo))
    const content = decipher.update(sealed.subarray(bodyFrom, bodyTo))
    try {
      decipher.final()
      return content
    } catch {
      return undefined
    }
  }

  return { seal, open }
}
