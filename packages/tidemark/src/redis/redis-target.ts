import { TidemarkError } from '../errors.js'

/** Where and how a server is reached over TCP. */
export interface TcpTarget {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly username?: string
  readonly password?: string
  readonly db: number
  /** The address without secrets. */
  readonly display: string
}

const tcpExpected =
  'a URL such as redis://host:6379, with :password@ before the host, or rediss:// for TLS; of a cluster several, separated by commas'
const restExpected = 'UPSTASH_REDIS_REST_URL as https://name.upstash.io together with UPSTASH_REDIS_REST_TOKEN'

const badUrl = (reason: string, expected: string) => new TidemarkError('TM_REDIS_BAD_URL', { reason, expected })

const parse = (text: string, expected: string): URL => {
  try {
    return new URL(text)
  } catch {
    // The parser's message quotes its input, and with it the password.
    throw badUrl('it is not a URL', expected)
  }
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Reads `redis://` and `rediss://`. Raises TM_REDIS_BAD_URL, which never quotes the URL. */
export const parseTcpTarget = (text: string): TcpTarget => {
  const url = parse(text, tcpExpected)
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') throw badUrl(`${url.protocol}// is not Redis`, tcpExpected)
  if (url.hostname === '') throw badUrl('it names no host', tcpExpected)
  const db = /^\/?(\d*)$/.exec(url.pathname)
  if (!db) throw badUrl('what follows the host is not the number of a database', tcpExpected)
  const port = url.port === '' ? 6379 : Number(url.port)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    tls: url.protocol === 'rediss:',
    ...(url.username !== '' && { username: decoded(url.username) }),
    ...(url.password !== '' && { password: decoded(url.password) }),
    db: Number(db[1] || 0),
    display: `${url.protocol}//${url.hostname}:${port}`,
  }
}

/** Reads the addresses of a cluster's nodes. The login of the first is that of all who bring none. Raises TM_REDIS_BAD_URL. */
export const parseClusterTargets = (urls: readonly string[]): readonly TcpTarget[] => {
  const [first, ...others] = urls.map(parseTcpTarget)
  const login = { ...(first!.username && { username: first!.username }), ...(first!.password && { password: first!.password }) }
  const targets = [first!, ...others.map((target) => (target.password === undefined ? { ...target, ...login } : target))]
  if (targets.some(({ db }) => db !== 0)) throw badUrl('a cluster has no other database than 0', tcpExpected)
  if (targets.some(({ tls }) => tls !== first!.tls))
    throw badUrl('some of its addresses are redis:// and some rediss://', tcpExpected)
  return targets
}

export interface RestTarget {
  readonly url: string
  readonly token: string
  readonly display: string
}

/** Checks the address of Upstash's REST API. Raises TM_REDIS_BAD_URL. */
export const parseRestTarget = (text: string, token: string | undefined): RestTarget => {
  const url = parse(text, restExpected)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw badUrl(`${url.protocol}// is not HTTP`, restExpected)
  if (url.username !== '' || url.password !== '') throw badUrl('it holds a user name or a password', restExpected)
  if (token === undefined || !/^\S+$/.test(token)) throw badUrl('its token is missing or holds white space', restExpected)
  const base = `${url.origin}${url.pathname}`.replace(/\/+$/, '')
  return { url: base, token, display: base }
}
