import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { reasonOf, TidemarkError } from '../../errors.js'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** Somebody asked for this very port, so another one would be a surprise. */
  readonly portAsked: boolean
}

const neighbours = 20
const highestPort = 65_535

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

/** The ports to try: the one asked for, or the default, its neighbours, and in the end any. */
const candidates = ({ port, portAsked }: ListenOptions): readonly number[] => {
  if (portAsked || port === 0) return [port]
  const last = Math.min(port + neighbours, highestPort)
  return [...Array.from({ length: last - port + 1 }, (_, offset) => port + offset), 0]
}

/** The URL under which this machine reaches the server. */
export const urlOf = ({ address, port, family }: AddressInfo): string => {
  const everywhere = address === '0.0.0.0' || address === '::'
  const host = everywhere ? '127.0.0.1' : family === 'IPv6' ? `[${address}]` : address
  return `http://${host}:${port}`
}

/** Listens, on the next free port where nobody asked for this one. Raises TM_SERVER_PORT_TAKEN and TM_SERVER_LISTEN. */
export const listen = async (app: FastifyInstance, options: ListenOptions): Promise<string> => {
  const { host, port } = options
  for (const candidate of candidates(options)) {
    try {
      await app.listen({ host, port: candidate, listenTextResolver: () => '' })
      return urlOf(app.server.address() as AddressInfo)
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') {
        throw new TidemarkError('TM_SERVER_LISTEN', { host, port: candidate, reason: reasonOf(error) }, { cause: error })
      }
    }
  }
  throw new TidemarkError('TM_SERVER_PORT_TAKEN', { host, port })
}
