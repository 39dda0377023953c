import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { type Delivery, headOf } from '../intake/delivery.js'
import { importKeys, type KeyInput } from '../providers/keys.js'
import type { Provider } from '../providers/provider.js'
import { createSignatureQueue } from '../providers/signature-queue.js'
import { type Verdict, verifyDelivery } from '../providers/verify.js'

/** A file of samples/webhooks, byte for byte. */
export const sample = (path: string): Buffer => readFileSync(new URL(`../../../../../samples/webhooks/${path}`, import.meta.url))

export const sampleJson = <T>(path: string): T => JSON.parse(sample(path).toString()) as T

export interface DeliveryInput {
  readonly provider?: string
  readonly secret?: string | undefined
  readonly ip?: string
  /** Names and values, in the order in which they are sent. */
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: Buffer | string | Readable
}

/** As Node's parser gives headers: names in lower case, what was sent twice joined. */
const joined = (headers: readonly (readonly [string, string])[]): IncomingHttpHeaders => {
  const all: Record<string, string> = {}
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    all[key] = key in all ? `${all[key]}, ${value}` : value
  }
  return all
}

/** A request as the HTTP server would hand it on. */
export const delivery = ({ provider = 'test', secret, ip = '127.0.0.1', headers = [], body = '' }: DeliveryInput): Delivery => ({
  provider,
  pathSecret: secret,
  ip,
  headers: joined(headers),
  rawHeaders: headers.flat(),
  body: body instanceof Readable ? body : Readable.from([Buffer.from(body as string)].filter((part) => part.length > 0)),
})

export interface CheckInput extends DeliveryInput {
  readonly keys?: readonly KeyInput[]
  readonly tenant?: string
  readonly nowMs?: number
}

const queue = createSignatureQueue()

/** What the provider's rule and its keys say of a delivery. */
export const check = async (provider: Provider, input: CheckInput): Promise<Verdict | string> => {
  const proof = provider.proof(headOf(delivery(input)))
  if (typeof proof === 'string') return proof
  const keys = importKeys(provider.name, input.keys ?? provider.keys, provider.readKey)
  const raw = Buffer.from((input.body ?? '') as string)
  return verifyDelivery({ raw, proof, keys, tenant: input.tenant, nowMs: input.nowMs ?? Date.now() }, queue)
}

/** `true`, or the reason. */
export const outcome = async (provider: Provider, input: CheckInput): Promise<true | string> => {
  const verdict = await check(provider, input)
  return typeof verdict === 'string' ? verdict : verdict.ok || verdict.reason
}
