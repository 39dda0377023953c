import { importKeys } from './keys.js'
import type { Provider, Shown } from './provider.js'

/**
 * What the provider would send with a body: signed with the first of its keys that is good now, one of every account before one of a single
 * account. Undefined where that takes a key that only the provider has. Raises TM_WEBHOOKS_NO_KEY and TM_WEBHOOKS_BAD_KEY.
 */
export const signDelivery = ({ name, proof, keys, readKey }: Provider, raw: Buffer, nowMs: number): Shown | undefined => {
  const good = importKeys(name, keys, readKey)
    .map((key, at) => ({ ...key, text: keys[at]!.key }))
    .filter(({ notBeforeMs, notAfterMs }) => notBeforeMs <= nowMs && nowMs < notAfterMs)
  const key = good.find(({ tenant }) => tenant === undefined) ?? good[0]
  return key && proof.sign?.(key, raw)
}
