import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Key } from './keys.js'
import type { Claim, Proof } from './provider.js'
import type { SignatureQueue } from './signature-queue.js'

/** `expired_key`: a key confirms it that is not good any more, or not yet. */
export type Verdict =
  | { readonly ok: true; readonly key: Key }
  | { readonly ok: false; readonly reason: 'bad_signature' | 'expired_key'; readonly keyId: string | undefined }

export interface Verification {
  readonly raw: Buffer
  readonly proof: Proof
  readonly keys: readonly Key[]
  /** Keys of other accounts do not count; undefined where it is not known whose it is. */
  readonly tenant: string | undefined
  readonly nowMs: number
}

const isGood = ({ notBeforeMs, notAfterMs }: Key, nowMs: number): boolean => notBeforeMs <= nowMs && nowMs < notAfterMs

const isFor = (key: Key, tenant: string | undefined): boolean =>
  key.tenant === undefined || tenant === undefined || key.tenant === tenant

/** Compares with each claim, all of them: which of several was right takes no less time than none. */
const showsBytes = (expected: Buffer, claims: readonly Claim[]): boolean => {
  let shown = false
  for (const { signature } of claims) {
    if (signature.length === expected.length && timingSafeEqual(signature, expected)) shown = true
  }
  return shown
}

const confirmedBySecret = ({ kind, secret }: Key, message: Buffer, claims: readonly Claim[]): boolean =>
  showsBytes(kind === 'path' ? secret.export() : createHmac('sha256', secret).update(message).digest(), claims)

const confirmedByPublicKey = async (
  key: Key,
  message: Buffer,
  claims: readonly Claim[],
  queue: SignatureQueue,
): Promise<boolean> => {
  for (const { signature } of claims) {
    if (await queue.verify(key.kind === 'rsa' ? 'sha256' : null, message, key.secret, signature)) return true
  }
  return false
}

const findKey = async (
  keys: readonly Key[],
  message: Buffer,
  claims: readonly Claim[],
  queue: SignatureQueue,
): Promise<Key | undefined> => {
  for (const key of keys) {
    const own = claims.filter(({ kind }) => kind === key.kind)
    if (own.length === 0) continue
    const isSecret = key.kind === 'hmac' || key.kind === 'path'
    // A secret is looked at here and now: who waits for that only waits.
    const confirmed = isSecret ? confirmedBySecret(key, message, own) : await confirmedByPublicKey(key, message, own, queue)
    if (confirmed) return key
  }
  return undefined
}

/** Tried where an account has no key, so that it takes as long as where it has one. */
const decoy: Key = {
  kind: 'hmac',
  secret: createSecretKey(randomBytes(32)),
  id: 'none',
  notBeforeMs: Number.POSITIVE_INFINITY,
  notAfterMs: Number.POSITIVE_INFINITY,
  tenant: undefined,
}

/** Finds the key that confirms what a delivery says of itself. Raises TM_WEBHOOKS_BUSY. */
export const verifyDelivery = async (verification: Verification, queue: SignatureQueue): Promise<Verdict> => {
  const { raw, proof, keys, tenant, nowMs } = verification
  const message = proof.message(raw)
  const theirs = keys.filter((key) => isFor(key, tenant))
  const own = theirs.length > 0 ? theirs : [decoy]
  const key = await findKey(
    own.filter((each) => isGood(each, nowMs)),
    message,
    proof.claims,
    queue,
  )
  if (key) return { ok: true, key }
  const expired = await findKey(
    own.filter((each) => !isGood(each, nowMs)),
    message,
    proof.claims,
    queue,
  )
  return { ok: false, reason: expired ? 'expired_key' : 'bad_signature', keyId: expired?.id }
}
