/** The two headers that answers carry besides: where the answer came from, and up to where it shows everything. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer } from '../cache/cache.js'
import { positionHeader } from '../cache/session/position-plugin.js'
import { formatPosition, type Position, parsePosition } from '../feed/position.js'

export interface ReadContext {
  /** The answer shows at least everything up to here: the position that a write of the caller's gave. */
  readonly after?: Position
}

export interface Read<T> {
  readonly value: T
  /** Whether Postgres was spared. */
  readonly cache: 'HIT' | 'MISS'
  /** Up to where the answer shows everything, where that is known. */
  readonly position?: Position
}

export interface WrittenAt<T> {
  readonly result: T
  /** For reads that have to see this write, where it is known. */
  readonly position?: Position
}

/** What a request asks to see. Raises TM_FEED_POSITION. */
export const contextOf = (request: FastifyRequest): ReadContext => {
  const header = request.headers[positionHeader]
  return typeof header === 'string' ? { after: parsePosition(header) } : {}
}

/** What a cache entry's `lookup` gave, as a read. */
export const readOf = <T>({ value, source }: Answer<T>, position?: Position | null): Read<T> => ({
  value,
  cache: source === 'load' ? 'MISS' : 'HIT',
  ...(position && { position }),
})

/** Sets the headers, gives the value. */
export const fromRead = <T>(reply: FastifyReply, { value, cache, position }: Read<T>): T => {
  reply.header('x-cache', cache)
  if (position) reply.header(positionHeader, formatPosition(position))
  return value
}

/** Sets the header, gives the result. */
export const fromWrite = <T>(reply: FastifyReply, { result, position }: WrittenAt<T>): T => {
  if (position) reply.header(positionHeader, formatPosition(position))
  return result
}
