import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type PusherApp, PusherRefusal } from './pusher.js'

export const sign = ({ secret }: Pick<PusherApp, 'secret'>, text: string | Buffer): string =>
  createHmac('sha256', secret).update(text).digest('hex')

/** Takes as long whatever the texts are, their lengths apart. */
export const sameText = (one: string, other: string): boolean => {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Why the `auth` of a client does not hold for what it signs; undefined where it does. */
export const whyNotSigned = (app: PusherApp, auth: unknown, signed: string): string | undefined => {
  const [key, signature, rest] = typeof auth === 'string' ? auth.split(':') : []
  if (key === undefined || signature === undefined || rest !== undefined) {
    return "Auth value is invalid: should be of format 'key:signature'"
  }
  if (!sameText(key, app.key)) return 'Invalid key in the auth value'
  if (sameText(signature, sign(app, signed))) return undefined
  return `Invalid signature: Expected HMAC SHA256 hex digest of ${signed}, but got ${signature.slice(0, 64)}`
}

/** With `channel_data` wherever the client sent it, on private channels too. */
export const subscriptionText = (socketId: string, channel: string, channelData: string | undefined): string =>
  channelData === undefined ? `${socketId}:${channel}` : `${socketId}:${channel}:${channelData}`

export const signinText = (socketId: string, userData: string): string => `${socketId}::user::${userData}`

export interface SignedRequest {
  readonly method: string
  /** Without the query, as it came. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Buffer
}

const maxSkewSeconds = 600

const parametersOf = (query: URLSearchParams): string =>
  [...query]
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name !== 'auth_signature')
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')

export const requestText = (method: string, path: string, query: URLSearchParams): string =>
  [method.toUpperCase(), path, parametersOf(query)].join('\n')

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

const checkTime = (given: string, nowMs: number): void => {
  const seconds = Number(given)
  if (!/^\d{1,12}$/.test(given)) throw new PusherRefusal(401, 'Timestamp required: auth_timestamp has to be a number of seconds')
  if (Math.abs(nowMs / 1000 - seconds) <= maxSkewSeconds) return
  const iso = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
  throw new PusherRefusal(
    401,
    `Timestamp expired: Given timestamp (${iso(seconds * 1000)}) not within ${maxSkewSeconds}s of server time (${iso(nowMs)})`,
  )
}

const checkBody = (query: URLSearchParams, body: Buffer): void => {
  if (body.length === 0) return
  const given = query.get('body_md5')
  if (given === null) throw new PusherRefusal(401, 'body_md5 is required where there is a body')
  if (sameText(given.toLowerCase(), createHash('md5').update(body).digest('hex'))) return
  throw new PusherRefusal(401, 'Invalid body_md5: it is not the MD5 of the body')
}

/** Raises PusherRefusal (401) unless the owner of the app's secret sent this request, whole, within ten minutes. */
export const checkRequest = (app: PusherApp, { method, path, query, body }: SignedRequest, nowMs: number): void => {
  const [key, version, signature] = [query.get('auth_key'), query.get('auth_version'), query.get('auth_signature')]
  if (key === null || !sameText(key, app.key)) throw new PusherRefusal(401, 'Unknown auth_key')
  if (version !== '1.0') throw new PusherRefusal(401, 'Version required: auth_version has to be 1.0')
  checkTime(query.get('auth_timestamp') ?? '', nowMs)
  if (signature === null) throw new PusherRefusal(401, 'Authentication signature required')
  const text = requestText(method, path, query)
  // Libraries sign the path before it is escaped for the wire.
  const texts = [text, requestText(method, decoded(path), query)]
  if (!texts.some((each) => sameText(signature, sign(app, each)))) {
    const shown = JSON.stringify(text)
    throw new PusherRefusal(
      401,
      `Invalid signature: you should have sent HmacSHA256Hex(${shown}, your_secret_key), but you sent ${JSON.stringify(signature)}`,
    )
  }
  checkBody(query, body)
}
