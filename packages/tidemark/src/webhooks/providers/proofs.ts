import { createHmac, type KeyObject, randomUUID } from 'node:crypto'
import { digestOf } from './keys.js'
import type { Claim, ReadProof } from './provider.js'

/** Bytes of HMAC-SHA256. */
const macBytes = 32
const ed25519Bytes = 64
/** More signatures than any rotation of keys needs would only cost time. */
const maxClaims = 8
const maxHeaderLength = 4096

const hexOf = (text: string, bytes: number): Buffer | undefined =>
  text.length === bytes * 2 && /^[0-9a-fA-F]+$/.test(text) ? Buffer.from(text, 'hex') : undefined

/** The bytes that base64 stands for, where there are as many as there have to be, and it is their one way to be written. */
const base64Of = (text: string, bytes: number | undefined): Buffer | undefined => {
  const decoded = Buffer.from(text, 'base64')
  if (text === '' || decoded.toString('base64') !== text) return undefined
  return bytes === undefined || decoded.length === bytes ? decoded : undefined
}

export interface HmacProofOptions {
  readonly header: string
  readonly encoding: 'hex' | 'base64'
  /** What stands in front of the digest, such as `sha256=`. */
  readonly prefix?: string
  /** Whether the bytes of the body were signed, or their base64. */
  readonly input?: 'raw' | 'base64'
}

const asBase64 = (raw: Buffer): Buffer => Buffer.from(raw.toString('base64'))
const asIs = (raw: Buffer): Buffer => raw

const mac = (secret: KeyObject, message: Buffer, encoding: 'hex' | 'base64'): string =>
  createHmac('sha256', secret).update(message).digest(encoding)

/** HMAC-SHA256 of the body, in a header. Hexadecimal digits count in either case. */
export const hmacProof = ({ header, encoding, prefix = '', input = 'raw' }: HmacProofOptions): ReadProof => {
  const name = header.toLowerCase()
  const message = input === 'base64' ? asBase64 : asIs
  const read: ReadProof = (delivery) => {
    const value = delivery.header(name)
    if (value === undefined) return 'missing_signature'
    if (!value.startsWith(prefix)) return 'malformed_signature'
    const text = value.slice(prefix.length)
    const signature = encoding === 'hex' ? hexOf(text, macBytes) : base64Of(text, macBytes)
    return signature ? { claims: [{ kind: 'hmac', signature }], message } : 'malformed_signature'
  }
  const sign: ReadProof['sign'] = ({ secret }, raw) => ({ headers: { [name]: prefix + mac(secret, message(raw), encoding) } })
  return Object.assign(read, { sign })
}

/** A signature of Ed25519 or RSA (SHA-256) over the body, as base64 in a header. */
export const publicKeyProof = (kind: 'ed25519' | 'rsa', header: string): ReadProof => {
  const bytes = kind === 'ed25519' ? ed25519Bytes : undefined
  return (delivery) => {
    const value = delivery.header(header)
    if (value === undefined) return 'missing_signature'
    const signature = value.length > maxHeaderLength ? undefined : base64Of(value, bytes)
    return signature ? { claims: [{ kind, signature }], message: asIs } : 'malformed_signature'
  }
}

/** The first whose header is there decides: what fails there is not rescued by another. */
export const firstProof = (...proofs: readonly ReadProof[]): ReadProof => {
  const read: ReadProof = (delivery) => {
    for (const proof of proofs) {
      const found = proof(delivery)
      if (found !== 'missing_signature') return found
    }
    return 'missing_signature'
  }
  return Object.assign(read, { sign: proofs[0]?.sign })
}

/** A secret behind the provider's name in the path. */
export const pathProof: ReadProof = Object.assign<ReadProof, Pick<ReadProof, 'sign'>>(
  ({ pathSecret }) => {
    if (pathSecret === undefined || pathSecret === '') return 'missing_signature'
    return { claims: [{ kind: 'path', signature: digestOf(pathSecret) }], message: asIs }
  },
  { sign: ({ text }) => ({ headers: {}, pathSecret: text }) },
)

const claimOf = (part: string): Claim | undefined => {
  const [version, text = ''] = part.split(/,(.*)/s)
  const kind = version === 'v1' ? 'hmac' : version === 'v1a' ? 'ed25519' : undefined
  if (kind === undefined) return undefined
  const signature = base64Of(text, kind === 'hmac' ? macBytes : ed25519Bytes)
  return signature && { kind, signature }
}

const idForm = /^[\x21-\x7e]{1,255}$/
const secondsForm = /^\d{1,12}$/

const signedPart = (id: string, seconds: string, raw: Buffer): Buffer => Buffer.concat([Buffer.from(`${id}.${seconds}.`), raw])

/** Standard Webhooks: `id.timestamp.body`, and a list of signatures of which versions v1 and v1a are looked at. */
export const standardProof = (prefix: string): ReadProof => {
  const read: ReadProof = (delivery) => {
    const [id, seconds, list] = ['id', 'timestamp', 'signature'].map((name) => delivery.header(`${prefix}-${name}`))
    if (id === undefined || seconds === undefined || list === undefined) return 'missing_signature'
    if (!idForm.test(id) || !secondsForm.test(seconds) || list.length > maxHeaderLength) return 'malformed_signature'
    const claims = list.split(' ').flatMap((part) => claimOf(part) ?? [])
    if (claims.length === 0 || claims.length > maxClaims) return 'malformed_signature'
    return { claims, signedAtMs: Number(seconds) * 1000, message: (raw) => signedPart(id, seconds, raw) }
  }
  const sign: ReadProof['sign'] = ({ kind, secret }, raw) => {
    if (kind !== 'hmac') return undefined
    const [id, seconds] = [`msg_${randomUUID()}`, String(Math.floor(Date.now() / 1000))]
    const signature = `v1,${mac(secret, signedPart(id, seconds, raw), 'base64')}`
    return { headers: { [`${prefix}-id`]: id, [`${prefix}-timestamp`]: seconds, [`${prefix}-signature`]: signature } }
  }
  return Object.assign(read, { sign })
}
