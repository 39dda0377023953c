import { isTidemarkError } from '../../../errors.js'
import type { Refusal, UpgradeRequest } from '../../hub/hub.js'
import type { Version } from './frames.js'
import { identify, RefusedToken } from './identity.js'
import type { Services } from './services.js'
import type { SocketOpening } from './supabase-socket.js'

const refusal = (status: number, error: string): Refusal => ({ status, body: { error } })

/** What Phoenix takes an unnamed version for. */
const versionOf = ({ query }: UpgradeRequest): Version | undefined => {
  const asked = query.get('vsn') || '1.0.0'
  if (/^1\.\d+\.\d+$/.test(asked)) return '1.0.0'
  return /^2\.\d+\.\d+$/.test(asked) ? '2.0.0' : undefined
}

const headerOf = ({ headers }: UpgradeRequest, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

const keyOf = (request: UpgradeRequest): string | undefined =>
  headerOf(request, 'x-api-key') ?? headerOf(request, 'apikey') ?? (request.query.get('apikey') || undefined)

/** What policies may look at: a few headers of the client's own, none of which is a secret. */
const openHeaders = ({ headers }: UpgradeRequest): Readonly<Record<string, string>> => {
  const own = Object.entries(headers).filter(
    (entry): entry is [string, string] => /^x-(?!api-key$|forwarded-)/.test(entry[0]) && typeof entry[1] === 'string',
  )
  return Object.fromEntries(own.slice(0, 20))
}

const noHeaders: Readonly<Record<string, string>> = {}

const refuseToken = (error: unknown): Refusal => {
  if (error instanceof RefusedToken) return refusal(401, error.isExpired ? 'Token has expired' : error.message)
  if (isTidemarkError(error) && error.httpStatus === 503) return refusal(503, 'Error connecting to Realtime')
  throw error
}

/** Whose socket it will be, or why there will be none. */
export const shakeHands = async (request: UpgradeRequest, services: Services): Promise<SocketOpening | Refusal> => {
  const version = versionOf(request)
  if (version === undefined) return refusal(400, 'Unsupported protocol version')
  const key = keyOf(request)
  if (key === undefined) return refusal(401, 'API key is missing')
  if (!services.parts()) return { ...refusal(503, 'Error connecting to Realtime'), headers: { 'retry-after': '1' } }
  try {
    const identity = await identify(services.findCaller, key, services.clock.now())
    const headers = openHeaders(request)
    const origin = [request.remote, headerOf(request, 'user-agent') ?? '', headerOf(request, 'origin') ?? ''].join(' ')
    return { version, identity, headers: Object.keys(headers).length === 0 ? noHeaders : headers, origin }
  } catch (error) {
    return refuseToken(error)
  }
}
