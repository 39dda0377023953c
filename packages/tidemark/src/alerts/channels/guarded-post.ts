import { lookup as systemLookup } from 'node:dns/promises'
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import { parseRetryAfter } from '../../resilience/retry.js'
import { type AddressRules, isPublicAddress } from './address-guard.js'

/** All addresses of a host, as the system knows them. */
export type Lookup = (host: string) => Promise<readonly string[]>

export interface GuardedPostOptions {
  /** Of the channel: addresses and bodies of others are in no error, since they may hold keys. */
  readonly channel: string
  readonly url: URL
  readonly rules: AddressRules
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly lookup?: Lookup
}

/** What is read of an answer at most. */
const maxAnswerBytes = 64 * 1024

const lookupAll: Lookup = async (host) => (await systemLookup(host, { all: true, verbatim: true })).map(({ address }) => address)

const refused = (channel: string, reason: string): TidemarkError => new TidemarkError('TM_ALERTS_ADDRESS', { channel, reason })

/** URLs write addresses of IPv6 in brackets. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase()

const whyClosed = (addresses: readonly string[], host: string, rules: AddressRules): string | undefined => {
  if (addresses.length === 0) return 'its host has no address'
  if (rules.takesHost(host)) return undefined
  // One that is closed among public ones would be a way in.
  const isClosed = addresses.some((address) => !isPublicAddress(address) && !rules.takesAddress(address))
  return isClosed ? 'its host is in a network that is not public' : undefined
}

/** Plain HTTP goes only to where nothing but the allowed can be meant. */
const checkUrl = (channel: string, url: URL): void => {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(channel, 'it is neither https nor http')
  if (url.username !== '' || url.password !== '') throw refused(channel, 'it carries a login')
}

/** The one address that is connected to: what is looked at is what is called. */
const addressOf = async ({ channel, url, rules, signal, lookup = lookupAll }: GuardedPostOptions): Promise<string> => {
  checkUrl(channel, url)
  const host = hostOf(url)
  const literal = isIP(host) !== 0
  const found = literal ? Promise.resolve([host]) : lookup(host)
  const aborted = new Promise<never>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  )
  signal.throwIfAborted()
  const addresses = await Promise.race([found, aborted])
  const why = whyClosed(addresses, host, rules)
  if (why !== undefined) throw refused(channel, why)
  const [address] = addresses as readonly [string]
  if (url.protocol === 'http:' && !rules.takesHost(host) && !rules.takesAddress(address))
    throw refused(channel, 'it is not https')
  return address
}

const pinned =
  (address: string): LookupFunction =>
  (_host, { all }, callback) => {
    const family = isIP(address)
    if (all) callback(null, [{ address, family }])
    else callback(null, address, family)
  }

const send = (address: string, { url, body, headers, signal }: GuardedPostOptions): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const options: RequestOptions = {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'tidemark',
        ...headers,
      },
      lookup: pinned(address),
      // Connections are not kept: each call is to an address that was looked at for it.
      agent: false,
      signal,
    }
    const call: ClientRequest = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, resolve)
    call.once('error', reject)
    call.end(body)
  })

/** To its end or to the bound, whichever comes first. */
const drain = async (response: IncomingMessage): Promise<void> => {
  let bytes = 0
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length
    if (bytes > maxAnswerBytes) break
  }
  response.destroy()
}

/** Answers that another attempt, or a change at the other end, may better. */
const passing = (status: number): boolean => status >= 500 || status < 400 || [401, 403, 404, 407, 408, 425, 429].includes(status)

const failureOf = (channel: string, { statusCode = 0, headers }: IncomingMessage): Error => {
  if (!passing(statusCode)) return new TidemarkError('TM_ALERTS_REFUSED', { channel, status: statusCode })
  const error = new TidemarkError('TM_ALERTS_UNDELIVERED', { channel, reason: `it answered ${statusCode}` })
  const waitMs = parseRetryAfter(String(headers['retry-after'] ?? ''))
  return waitMs === undefined ? error : Object.assign(error, { retryAfterMs: Math.min(waitMs, 300_000) })
}

/**
 * Posts JSON to an address of the public internet, or to one that is allowed. The name is resolved once and that address is called; nothing is
 * followed; little is read. Raises TM_ALERTS_ADDRESS, TM_ALERTS_REFUSED and TM_ALERTS_UNDELIVERED.
 */
export const guardedPost = async (options: GuardedPostOptions): Promise<IncomingMessage> => {
  const { channel, signal } = options
  try {
    const response = await send(await addressOf(options), options)
    const { statusCode = 0 } = response
    await drain(response).catch(() => undefined)
    if (statusCode < 200 || statusCode > 299) throw failureOf(channel, response)
    return response
  } catch (error) {
    if (isTidemarkError(error)) throw error
    const reason = signal.aborted ? 'no answer in time' : reasonOf(error)
    throw new TidemarkError('TM_ALERTS_UNDELIVERED', { channel, reason }, { cause: error })
  }
}
