import { createHash, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { TidemarkError } from '../../errors.js'

/** `path`: nothing is signed, the secret itself is shown. */
export type KeyKind = 'hmac' | 'ed25519' | 'rsa' | 'path'

/** A key as the configuration has it. */
export interface KeyInput {
  readonly key: string
  /** Named in metrics. Default: its place in the list. */
  readonly id?: string | undefined
  /** ISO 8601; not good before. */
  readonly notBefore?: string | undefined
  /** ISO 8601; not good from then on. */
  readonly notAfter?: string | undefined
  /** Good for this account at the provider only. */
  readonly tenant?: string | undefined
}

/** What a key is checked with. Imported once: that costs as much as checking a signature. */
export interface KeyMaterial {
  readonly kind: KeyKind
  readonly secret: KeyObject
}

/** Reads the text of a key. Gives what is wrong with it where it is none. */
export type ReadKey = (text: string) => KeyMaterial | string

export interface Key extends KeyMaterial {
  readonly id: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly tenant: string | undefined
}

const secretKey = (kind: KeyKind, bytes: Buffer): KeyMaterial => ({ kind, secret: createSecretKey(bytes) })

/** The bytes of the text sign. */
export const hmacKey: ReadKey = (text) => (text === '' ? 'it is empty' : secretKey('hmac', Buffer.from(text)))

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

export const isBase64 = (text: string): boolean => text !== '' && base64.test(text)

/** The key itself never goes through memory in a form that could be logged: what is compared is its digest. */
export const digestOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** 256 bits, as base64url or hex writes them. */
const longEnough = /^[A-Za-z0-9_-]{43,128}$/

/** A secret that is part of the address. */
export const pathKey: ReadKey = (text) =>
  longEnough.test(text) ? secretKey('path', digestOf(text)) : 'it is not 256 bits as base64url or hex, at least 43 characters'

const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex')
const rawKeyBytes = 32

const importPublic = (text: string): KeyObject => {
  if (text.includes('-----BEGIN')) return createPublicKey(text)
  const bytes = Buffer.from(text, 'base64')
  const der = bytes.length === rawKeyBytes ? Buffer.concat([ed25519Prefix, bytes]) : bytes
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

/** A public key of Ed25519 or RSA: PEM, SPKI as base64, or the 32 bytes of Ed25519 as base64. */
export const publicKey: ReadKey = (text) => {
  try {
    const secret = importPublic(text.trim())
    const type = secret.asymmetricKeyType
    if (type === 'ed25519' || type === 'rsa') return { kind: type, secret }
    return `it is a key of ${type}, neither Ed25519 nor RSA`
  } catch {
    return 'it is no public key'
  }
}

const badKey = (provider: string, id: string, reason: string): TidemarkError =>
  new TidemarkError('TM_WEBHOOKS_BAD_KEY', { provider, id, reason })

const momentOf = (text: string | undefined, otherwise: number, refuse: (reason: string) => TidemarkError): number => {
  if (text === undefined) return otherwise
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw refuse(`"${text}" is no time as ISO 8601 has it`)
  return ms
}

/** Imports the keys of a provider. Raises TM_WEBHOOKS_BAD_KEY, and TM_WEBHOOKS_NO_KEY where there are none. */
export const importKeys = (provider: string, inputs: readonly KeyInput[], readKey: ReadKey): readonly Key[] => {
  if (inputs.length === 0) throw new TidemarkError('TM_WEBHOOKS_NO_KEY', { provider })
  const keys = inputs.map(({ key, id: given, notBefore, notAfter, tenant }, at): Key => {
    const id = given ?? String(at + 1)
    const refuse = (reason: string) => badKey(provider, id, reason)
    const material = readKey(key)
    if (typeof material === 'string') throw refuse(material)
    const notBeforeMs = momentOf(notBefore, Number.NEGATIVE_INFINITY, refuse)
    const notAfterMs = momentOf(notAfter, Number.POSITIVE_INFINITY, refuse)
    if (notBeforeMs >= notAfterMs) throw refuse('it ends before it begins')
    return { ...material, id, notBeforeMs, notAfterMs, tenant }
  })
  const twice = keys.find(({ id }, at) => keys.findIndex((other) => other.id === id) !== at)
  if (twice) throw badKey(provider, twice.id, 'another key has the same id')
  return keys
}
