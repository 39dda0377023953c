/** The two headers that answers carry besides: where the answer came from, and up to where it shows everything. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { formatPosition } from 'tidemark'
import { positionHeader, positionOf } from './input.js'
import type { Read, ReadContext } from './reads.js'
import type { Written } from './writes.js'

export const contextOf = (request: FastifyRequest): ReadContext => {
  const after = positionOf(request)
  return after === undefined ? {} : { after }
}

/** Sets the headers, gives the value. */
export const fromRead = <T>(reply: FastifyReply, { value, cache, position }: Read<T>): T => {
  reply.header('x-cache', cache)
  if (position) reply.header(positionHeader, formatPosition(position))
  return value
}

/** Sets the header, gives the result. */
export const fromWrite = <T>(reply: FastifyReply, { result, position }: Written<T>): T => {
  if (position) reply.header(positionHeader, formatPosition(position))
  return result
}
