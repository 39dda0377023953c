import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { DeliveryHead, Provider } from '../providers/provider.js'

/** A request as it came. */
export interface Delivery {
  /** The name in the path. */
  readonly provider: string
  readonly pathSecret: string | undefined
  /** Of the sender. */
  readonly ip: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[]
  readonly body: Readable
}

const timesSent = (rawHeaders: readonly string[], name: string): number => {
  let times = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const each = rawHeaders[at]!
    if (each.length === name.length && each.toLowerCase() === name) times += 1
  }
  return times
}

/** A header that was sent twice has no value: which of the two a proxy or a library would take is anybody's guess. */
export const headOf = ({ headers, rawHeaders, pathSecret }: Delivery): DeliveryHead => ({
  pathSecret,
  header: (name) => {
    const value = headers[name]
    return typeof value === 'string' && value !== '' && timesSent(rawHeaders, name) === 1 ? value : undefined
  },
})

/** The same of an event that was stored: of its headers only some were kept. */
export const headOfStored = (headers: Readonly<Record<string, string>>): DeliveryHead => ({
  pathSecret: undefined,
  header: (name) => (Object.hasOwn(headers, name) ? headers[name] : undefined),
})

const longestHeader = 1024

/** What is kept of the headers: what sort of body it says it is, who sent it, and what the provider's facts need again. */
export const keptHeaders = (head: DeliveryHead, { headers }: Provider): Readonly<Record<string, string>> => {
  const kept: Record<string, string> = {}
  for (const name of ['content-type', 'user-agent', ...headers]) {
    const value = head.header(name)
    // Bytes of a header come as characters below 256; Postgres holds none of the lowest.
    if (value !== undefined && !value.includes('\0')) kept[name] = value.slice(0, longestHeader)
  }
  return kept
}

export const isEncoded = ({ headers }: Delivery): boolean => {
  const encoding = headers['content-encoding']
  return encoding !== undefined && encoding.trim().toLowerCase() !== 'identity' && encoding.trim() !== ''
}

/** What the sender says of the length; undefined where it says nothing. */
export const declaredBytes = ({ headers }: Delivery): number | undefined => {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}
