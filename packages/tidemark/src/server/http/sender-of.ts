import type { FastifyRequest } from 'fastify'

/**
 * Where a request comes from: the address of the connection, or with `ipHeader` the one that the proxy in front saw: of several the
 * one that was added last.
 */
export const senderOf = ({ headers, ip }: Pick<FastifyRequest, 'headers' | 'ip'>, ipHeader: string | undefined): string => {
  const value = ipHeader === undefined ? undefined : headers[ipHeader.toLowerCase()]
  const last = typeof value === 'string' ? value.split(',').at(-1)?.trim() : undefined
  return last === undefined || last === '' ? ip : last
}
