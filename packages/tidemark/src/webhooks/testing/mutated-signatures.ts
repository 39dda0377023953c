import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { headOf } from '../intake/delivery.js'
import { generic } from '../providers/generic.js'
import { gohighlevel } from '../providers/gohighlevel.js'
import { importKeys, type Key } from '../providers/keys.js'
import { lofty } from '../providers/lofty.js'
import type { Provider } from '../providers/provider.js'
import { rollout } from '../providers/rollout.js'
import { createSignatureQueue } from '../providers/signature-queue.js'
import { standardWebhooks } from '../providers/standard-webhooks.js'
import { verifyDelivery } from '../providers/verify.js'
import { delivery } from './deliver.js'

/** A delivery that is good, of which one value is changed. */
interface Case {
  readonly provider: Provider
  readonly keys: readonly Key[]
  readonly value: string
  readonly headers: (value: string) => readonly (readonly [string, string])[]
  readonly secret: (value: string) => string | undefined
  /** What two values that say the same have in common. */
  readonly canonical: (value: string) => string
  /** Of how many deliveries one is of this kind. */
  readonly weight: number
}

const body = Buffer.from('{"eventId":"0197cba6-834f-7000-b5ed-1813cd6efcbe","event":"peopleUpdated","resourceIds":["1"]}')
const mac = (secret: string, message: string | Buffer) => createHmac('sha256', secret).update(message)
const none = (): undefined => undefined
const same = (value: string): string => value

const makeCase = (provider: Provider, key: string, value: string, more: Partial<Case>): Case => ({
  provider,
  keys: importKeys(provider.name, [{ key }], provider.readKey),
  value,
  headers: () => [],
  secret: none,
  canonical: same,
  weight: 1,
  ...more,
})

const makeCases = (): readonly Case[] => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const standardSecret = Buffer.from('a secret of the standard').toString('base64')
  const standard = createHmac('sha256', Buffer.from(standardSecret, 'base64')).update('msg_1.1700000000.').update(body)
  const standardHeaders = (value: string) =>
    [
      ['webhook-id', 'msg_1'],
      ['webhook-timestamp', '1700000000'],
      ['webhook-signature', value],
    ] as const
  const acme = generic({ name: 'acme', signature: { header: 'x-acme', encoding: 'base64' } })
  const path = 'k'.repeat(20) + 'J'.repeat(23)
  return [
    makeCase(rollout(), 'secret', mac('secret', body.toString('base64')).digest('hex'), {
      headers: (value) => [['x-rollout-signature', value]],
      // Digits count in either case.
      canonical: (value) => value.toLowerCase(),
      weight: 8,
    }),
    makeCase(acme, 'secret', mac('secret', body).digest('base64'), { headers: (value) => [['x-acme', value]], weight: 8 }),
    makeCase(standardWebhooks(), standardSecret, `v1,${standard.digest('base64')}`, {
      headers: standardHeaders,
      // A list: spaces stand between its parts, and what is none of ours is passed over.
      canonical: (value) => value.split(' ').find((part) => part.startsWith('v1,') && part.length === 47) ?? value,
      weight: 8,
    }),
    makeCase(lofty(), path, path, { secret: (value) => value, weight: 4 }),
    makeCase(gohighlevel(), spki, sign(null, body, privateKey).toString('base64'), {
      headers: (value) => [['x-ghl-signature', value]],
    }),
  ]
}

/** Numbers from 0 up to a bound, the same ones for the same seed. */
const createDraw = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return ((mixed ^ (mixed >>> 16)) >>> 0) % below
  }
}

type Draw = ReturnType<typeof createDraw>

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_, .v1'

const replaceAt = (text: string, at: number, by: string): string => text.slice(0, at) + by + text.slice(at + 1)

const flipBit = (text: string, draw: Draw): string => {
  const at = draw(text.length)
  return replaceAt(text, at, String.fromCharCode(text.charCodeAt(at) ^ (1 << draw(7))))
}

const mutations: readonly ((text: string, draw: Draw) => string)[] = [
  flipBit,
  (text, draw) => replaceAt(text, draw(text.length), alphabet[draw(alphabet.length)]!),
  (text, draw) => text.slice(0, draw(text.length)),
  (text, draw) => text.slice(draw(text.length)),
  (text, draw) => text + alphabet[draw(alphabet.length)]!,
  (text, draw) => alphabet[draw(alphabet.length)]! + text,
  (text, draw) => {
    const at = draw(text.length - 1)
    return text.slice(0, at) + text[at + 1]! + text[at]! + text.slice(at + 2)
  },
  (text, draw) => [...text].map((character) => (draw(4) === 0 ? alphabet[draw(alphabet.length)]! : character)).join(''),
  (text) => [...text].reverse().join(''),
  (text, draw) => (draw(2) === 0 ? text.toUpperCase() : text.toLowerCase()),
  (text, draw) => flipBit(flipBit(text, draw), draw),
]

export interface MutationReport {
  readonly tried: number
  /** Changed signatures that were believed: there must be none. */
  readonly accepted: readonly { readonly provider: string; readonly value: string }[]
  /** Of each kind, whether the unchanged one is believed: else nothing was tried. */
  readonly controls: readonly boolean[]
}

const queue = createSignatureQueue({ maxRunning: 4, maxWaiting: 100_000 })

const believed = async ({ provider, keys, headers, secret }: Case, value: string): Promise<boolean> => {
  const proof = provider.proof(headOf(delivery({ headers: headers(value), secret: secret(value) })))
  if (typeof proof === 'string') return false
  return (await verifyDelivery({ raw: body, proof, keys, tenant: undefined, nowMs: Date.now() }, queue)).ok
}

/** Changes good signatures in so many ways, and tells which were believed all the same. */
export const tryMutatedSignatures = async (count: number, seed: number, signal?: AbortSignal): Promise<MutationReport> => {
  const cases = makeCases()
  const drawn = cases.flatMap((each) => Array<Case>(each.weight).fill(each))
  const draw = createDraw(seed)
  const accepted: { provider: string; value: string }[] = []
  const controls = await Promise.all(cases.map((each) => believed(each, each.value)))
  let tried = 0
  while (tried < count && !signal?.aborted) {
    const batch = Array.from({ length: Math.min(512, count - tried) }, async () => {
      const each = drawn[draw(drawn.length)]!
      const value = mutations[draw(mutations.length)]!(each.value, draw)
      if (each.canonical(value) === each.canonical(each.value)) return
      if (await believed(each, value)) accepted.push({ provider: each.provider.name, value })
    })
    await Promise.all(batch)
    tried += batch.length
  }
  return { tried, accepted, controls }
}
