import { createHash } from 'node:crypto'
import fc from 'fast-check'
import Api from 'pusher'
import { describe, expect, test } from 'vitest'
import { propertyRuns } from '../../../testing/property-runs.js'
import { PusherRefusal } from './pusher.js'
import { checkRequest, requestText, sign, signinText, subscriptionText, whyNotSigned } from './signature.js'

const app = { id: '3', key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' }
const api = new Api({ appId: app.id, key: app.key, secret: app.secret, host: 'localhost' })
const nowMs = 1_353_088_179_000

const refusal = (run: () => unknown): PusherRefusal | undefined => {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof PusherRefusal) return error
    throw error
  }
}

const request = (
  changes: { method?: string; path?: string; body?: string; query?: Record<string, string>; secret?: string } = {},
) => {
  const { method = 'POST', path = '/apps/3/events', secret = app.secret } = changes
  const body = Buffer.from(changes.body ?? '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}')
  const query = new URLSearchParams({
    auth_key: app.key,
    auth_timestamp: String(nowMs / 1000),
    auth_version: '1.0',
    ...(body.length > 0 && { body_md5: createHash('md5').update(body).digest('hex') }),
    ...changes.query,
  })
  if (!query.has('auth_signature')) query.set('auth_signature', sign({ secret }, requestText(method, path, query)))
  return { method, path, query, body }
}

describe('signatures', () => {
  test('the documented example of a request holds', () => {
    const body = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
    expect(createHash('md5').update(body).digest('hex')).toBe('ec365a775a4cd0599faeb73354201b6f')
    const { query } = request()
    expect(query.get('auth_signature')).toBe('da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c')
    expect(refusal(() => checkRequest(app, request(), nowMs))).toBeUndefined()
  })

  test.each([
    ['another key', { query: { auth_key: 'x' } }, 'Unknown auth_key'],
    ['no version', { query: { auth_version: '' } }, 'Version required'],
    ['no time', { query: { auth_timestamp: '' } }, 'Timestamp required'],
    [
      'an old time',
      { query: { auth_timestamp: String(nowMs / 1000 - 601) } },
      'Timestamp expired: Given timestamp (2012-11-16T17:39:38Z)',
    ],
    ['a time to come', { query: { auth_timestamp: String(nowMs / 1000 + 601) } }, 'Timestamp expired'],
    ['another secret', { secret: 'other' }, 'Invalid signature: you should have sent HmacSHA256Hex("POST\\n/apps/3/events\\n'],
    ['no signature', { query: { auth_signature: '' } }, 'Invalid signature'],
    ['another body', { query: { body_md5: createHash('md5').update('other').digest('hex') } }, 'Invalid body_md5'],
  ])('a request with %s is refused with 401, and no secret in the text', (_what, changes, message) => {
    const refused = refusal(() => checkRequest(app, request(changes), nowMs))
    expect(refused?.status).toBe(401)
    expect(refused?.message).toContain(message)
    expect(refused?.message).not.toContain(app.secret)
  })

  test('a body without its MD5 is refused', () => {
    const { query, ...rest } = request()
    query.delete('body_md5')
    query.set('auth_signature', sign(app, requestText('POST', rest.path, query)))
    expect(refusal(() => checkRequest(app, { ...rest, query }, nowMs))?.message).toContain('body_md5')
  })

  test('what the server library signs holds, whatever the parameters', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.string({ maxLength: 20 })), (params) => {
        const names = ['auth_key', 'auth_timestamp', 'auth_version', 'body_md5', 'auth_signature']
        const own = Object.fromEntries(Object.entries(params).filter(([name]) => !names.includes(name)))
        const path = '/apps/3/channels'
        const text = api.createSignedQueryString({ method: 'GET', path, params: own } as never)
        // The library does not escape values; here they are as they arrive.
        const query = new URLSearchParams(Object.entries(own))
        const signature = /auth_signature=([0-9a-f]+)$/.exec(text)?.[1] ?? ''
        const timestamp = /auth_timestamp=(\d+)/.exec(text)?.[1] ?? ''
        for (const [name, value] of [
          ['auth_key', app.key],
          ['auth_timestamp', timestamp],
          ['auth_version', '1.0'],
          ['auth_signature', signature],
        ] as const)
          query.set(name, value)
        expect(
          refusal(() => checkRequest(app, { method: 'GET', path, query, body: Buffer.alloc(0) }, Date.now())),
        ).toBeUndefined()
      }),
      propertyRuns(100),
    )
  })

  test('a subscription is signed with its channel_data, on private channels too', () => {
    const { auth, channel_data } = api.authorizeChannel('1.2', 'private-a', { user_id: 'u' })
    expect(whyNotSigned(app, auth, subscriptionText('1.2', 'private-a', channel_data))).toBeUndefined()
    expect(whyNotSigned(app, auth, subscriptionText('1.2', 'private-a', undefined))).toContain('Invalid signature')
    expect(whyNotSigned(app, auth, subscriptionText('1.3', 'private-a', channel_data))).toContain('Invalid signature')
    const user = api.authenticateUser('1.2', { id: 'u' })
    expect(whyNotSigned(app, user.auth, signinText('1.2', user.user_data))).toBeUndefined()
  })

  test.each([[undefined], ['x'], ['a:b:c'], [`other:${'0'.repeat(64)}`], [`${app.key}:`], [`${app.key}:zz`], [7], [{}]])(
    'the auth %j holds for nothing',
    (auth) => {
      expect(whyNotSigned(app, auth, '1.2:private-a')).toBeTypeOf('string')
    },
  )
})
