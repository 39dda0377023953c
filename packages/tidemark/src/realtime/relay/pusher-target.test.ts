import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { parsePusherUrl, signedQuery } from './pusher-target.js'

const Pusher = createRequire(import.meta.url)('pusher') as new (
  options: object,
) => { createSignedQueryString(request: { method: string; path: string; body: string }): string }

const token = { key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' }

describe('signatures of Pusher', () => {
  it('are those that its documentation works out', () => {
    const body = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
    const query = new URLSearchParams(signedQuery(token, '/apps/3/events', body, 1_353_088_179_000))
    expect(query.get('body_md5')).toBe('ec365a775a4cd0599faeb73354201b6f')
    expect(query.get('auth_signature')).toBe('da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c')
  })

  it('are those that its library makes', () => {
    const [path, body] = ['/apps/3/batch_events', '{"batch":[]}']
    const theirs = new Pusher({ appId: '3', ...token }).createSignedQueryString({ method: 'POST', path, body })
    const nowMs = Number(new URLSearchParams(theirs).get('auth_timestamp')) * 1000
    expect(signedQuery(token, path, body, nowMs)).toBe(theirs)
  })

  it('SEC-2: an address that is not understood is refused without being quoted', () => {
    for (const url of [
      'nonsense',
      'ftp://key:hush@host/apps/1',
      'http://host/apps/1',
      'http://key:hush@host/',
      'http://k%20:hush@h/apps/1',
    ]) {
      const parse = () => parsePusherUrl(url)
      expect(parse).toThrow(expect.objectContaining({ code: 'TM_REALTIME_RELAY_TARGET' }))
      expect(parse).not.toThrow(/hush/)
    }
    expect(parsePusherUrl('https://key:sec%2Fret@api-eu.pusher.com/apps/1/')).toEqual({
      origin: 'https://api-eu.pusher.com',
      path: '/apps/1',
      key: 'key',
      secret: 'sec/ret',
    })
  })
})
