import { isoAt, momentAt, textAt } from './fields.js'
import { hmacKey, pathKey } from './keys.js'
import { type HmacProofOptions, hmacProof, pathProof } from './proofs.js'
import { type ClockWindow, defineProvider, type Provider } from './provider.js'

export interface GenericOptions {
  readonly name?: string
  /** The header of an HMAC-SHA256 over the body. Left out: a secret in the path. */
  readonly signature?: Pick<HmacProofOptions, 'header'> & Partial<HmacProofOptions>
  /** Where things stand in the body, as names with dots between them. Default: `event_type` and `timestamp`. */
  readonly fields?: {
    readonly type?: string
    /** Only what the signature covers. */
    readonly id?: string
    readonly tenant?: string
    readonly timestamp?: string
    readonly entityId?: string
    readonly entityType?: string
  }
  /** How old, and how far in the future, the time in the body may be. Default: it is not looked at. */
  readonly window?: ClockWindow
}

/** Anyone else. The documented form of an event of theirs: its `event_type`, else `unknown`. */
export const generic = ({ name = 'generic', signature, fields = {}, window }: GenericOptions = {}): Provider => {
  const { type = 'event_type', timestamp = 'timestamp', entityType = 'entity' } = fields
  return defineProvider({
    name,
    proof: signature ? hmacProof({ encoding: 'hex', ...signature }) : pathProof,
    readKey: signature ? hmacKey : pathKey,
    signed: signature !== undefined,
    window,
    describe: (data) => {
      const sourceType = textAt(data, type) ?? ''
      const externalId = fields.entityId === undefined ? undefined : textAt(data, fields.entityId)
      return {
        id: fields.id === undefined ? undefined : textAt(data, fields.id),
        tenant: fields.tenant === undefined ? undefined : textAt(data, fields.tenant),
        sourceType,
        type: sourceType === '' ? 'unknown' : sourceType,
        entity: externalId === undefined ? undefined : { type: entityType, externalId },
        occurredAt: isoAt(data, timestamp),
        signedAtMs: window && momentAt(data, timestamp),
      }
    },
  })
}
