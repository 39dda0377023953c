/** The providers there are: each is one file of facts. */
export { isoAt, momentAt, textAt, valueAt } from './fields.js'
export { type GenericOptions, generic } from './generic.js'
export { github } from './github.js'
export { type GoHighLevelOptions, gohighlevel } from './gohighlevel.js'
export { hmacKey, importKeys, type Key, type KeyInput, type KeyKind, pathKey, publicKey, type ReadKey } from './keys.js'
export { lofty } from './lofty.js'
export { firstProof, type HmacProofOptions, hmacProof, pathProof, publicKeyProof, standardProof } from './proofs.js'
export {
  type ClockWindow,
  type DeliveryHead,
  defineProvider,
  type EventFacts,
  type Fields,
  type Proof,
  type Provider,
  type ProviderDefinition,
  type ReadProof,
} from './provider.js'
export { type RolloutOptions, rollout } from './rollout.js'
export { createSignatureQueue, type SignatureQueue } from './signature-queue.js'
export { type StandardWebhooksOptions, standardWebhooks } from './standard-webhooks.js'
export { type Verdict, verifyDelivery } from './verify.js'
