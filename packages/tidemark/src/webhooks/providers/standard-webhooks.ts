import { createSecretKey } from 'node:crypto'
import { isoAt, textAt } from './fields.js'
import { isBase64, publicKey, type ReadKey } from './keys.js'
import { standardProof } from './proofs.js'
import { defineProvider, type Provider } from './provider.js'

const windowMs = 300_000

/** `whsec_` and base64, `whpk_` and a public key of Ed25519, or the base64 of a secret alone. */
export const standardKey: ReadKey = (text) => {
  if (text.startsWith('whpk_')) {
    const material = publicKey(text.slice('whpk_'.length))
    return typeof material !== 'string' && material.kind !== 'ed25519' ? 'it is no key of Ed25519' : material
  }
  const secret = text.startsWith('whsec_') ? text.slice('whsec_'.length) : text
  if (!isBase64(secret)) return 'it is not base64'
  return { kind: 'hmac', secret: createSecretKey(Buffer.from(secret, 'base64')) }
}

export interface StandardWebhooksOptions {
  readonly name?: string
  /** Of its headers: `webhook`, or `svix`. Default `webhook`. */
  readonly headerPrefix?: string
  /** Where the entity's id stands in the body, such as `data.id`, and what it is called. */
  readonly entity?: { readonly type: string; readonly path: string }
  /** Where the account stands in the body. */
  readonly tenant?: string
}

/** Anyone who sends as standardwebhooks.com says. */
export const standardWebhooks = ({
  name = 'standard-webhooks',
  headerPrefix = 'webhook',
  entity,
  tenant,
}: StandardWebhooksOptions = {}): Provider =>
  defineProvider({
    name,
    proof: standardProof(headerPrefix),
    readKey: standardKey,
    window: { pastMs: windowMs, futureMs: windowMs },
    describe: (data, delivery) => {
      const sourceType = textAt(data, 'type') ?? ''
      const externalId = entity && textAt(data, entity.path)
      return {
        id: delivery.header(`${headerPrefix}-id`),
        tenant: tenant === undefined ? undefined : textAt(data, tenant),
        sourceType,
        type: sourceType === '' ? 'unknown' : sourceType,
        entity: entity && externalId !== undefined ? { type: entity.type, externalId } : undefined,
        occurredAt: isoAt(data, 'timestamp'),
      }
    },
  })
