import type { EntityRef, EventType, Trust } from '../webhooks.js'
import type { KeyInput, KeyKind, KeyMaterial, ReadKey } from './keys.js'

/** What is known of a delivery before its body is read. */
export interface DeliveryHead {
  /** The value of a header by its name in lower case; undefined where it is absent, empty, or was sent more than once. */
  header(name: string): string | undefined
  /** What stands behind the provider's name in the path. */
  readonly pathSecret: string | undefined
}

/** One signature that a delivery shows. */
export interface Claim {
  readonly kind: KeyKind
  readonly signature: Buffer
}

/** What a delivery says of itself. Nothing of it is true before a key has confirmed it. */
export interface Proof {
  /** One that a key confirms is enough. */
  readonly claims: readonly Claim[]
  /** What was signed. */
  message(raw: Buffer): Buffer
  /** When, where that is signed as well and stands outside of the body. */
  readonly signedAtMs?: number
}

/** Why a delivery is refused before any key was tried. */
export type ProofRefusal = 'missing_signature' | 'malformed_signature'

/** A key as it stands in the configuration, and what it is checked with. */
export interface SigningKey extends KeyMaterial {
  readonly text: string
}

/** What is sent with a body so that it is believed. */
export interface Shown {
  readonly headers: Readonly<Record<string, string>>
  /** Behind the provider's name in the path. */
  readonly pathSecret?: string
}

export interface ReadProof {
  (delivery: DeliveryHead): Proof | ProofRefusal
  /** Makes what it reads. Missing, or undefined, where that takes a key that only the provider has. */
  readonly sign?: ((key: SigningKey, raw: Buffer) => Shown | undefined) | undefined
}

/** What was sent, by name. */
export type Fields = Readonly<Record<string, unknown>>

/** What a provider's event says, in our words. */
export interface EventFacts {
  /** The provider's id of it, only where the signature covers that; else what came is told by its digest. */
  readonly id?: string | undefined
  readonly tenant?: string | undefined
  /** The provider's name for its type; `types` gives ours. */
  readonly sourceType?: string | undefined
  /** Ours, where `types` does not say. Default `unknown`. */
  readonly type?: EventType | (string & {}) | undefined
  readonly entity?: EntityRef | undefined
  readonly occurredAt?: string | undefined
  /** The time that the window is about, where it stands in the signed body. */
  readonly signedAtMs?: number | undefined
}

/** How long a signature is good for. */
export interface ClockWindow {
  readonly pastMs: number
  readonly futureMs: number
}

/** Everything there is to know about a provider. */
export interface Provider {
  readonly name: string
  readonly proof: ReadProof
  readonly readKey: ReadKey
  readonly keys: readonly KeyInput[]
  /** False where all that vouches for a delivery is a secret in its path. */
  readonly signed: boolean
  readonly trust: Trust
  readonly types: Readonly<Record<string, EventType>>
  describe(data: Fields, delivery: DeliveryHead): EventFacts
  /** Undefined where nothing says when it was signed. */
  readonly window: ClockWindow | undefined
  /** A body that is a list is a list of events. */
  readonly batches: boolean
  /** What makes the provider send again. */
  readonly onOutage: 429 | 503
  readonly maxBytes: number
  /** Headers that are kept beside the body, besides content-type and user-agent. Never those of signatures. */
  readonly headers: readonly string[]
  /** Events of any other tenant are refused as if their signature were wrong. */
  readonly tenants: readonly string[] | undefined
}

export type ProviderDefinition = Pick<Provider, 'name' | 'proof' | 'readKey' | 'describe'> & Partial<Provider>

const defaultMaxBytes = 1024 ** 2

/** Makes a provider from its facts; what is left out is as most have it. */
export const defineProvider = (definition: ProviderDefinition): Provider => ({
  keys: [],
  signed: true,
  types: {},
  window: undefined,
  batches: false,
  onOutage: 503,
  maxBytes: defaultMaxBytes,
  headers: [],
  tenants: undefined,
  ...definition,
  trust: definition.trust ?? (definition.signed === false ? 'hint' : 'statement'),
})
