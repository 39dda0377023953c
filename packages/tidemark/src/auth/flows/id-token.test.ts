import { describe, expect, test } from 'vitest'
import { refuseIdToken } from './id-token.js'

describe('a token of somebody else', () => {
  test.each([
    [{ provider: 'google', id_token: 'x' }, 'Provider (issuer "https://accounts.google.com") is not enabled'],
    [{ provider: 'apple' }, 'Provider (issuer "https://appleid.apple.com") is not enabled'],
    [{ issuer: 'https://kauth.kakao.com', client_id: 'x' }, 'Provider (issuer "https://kauth.kakao.com") is not enabled'],
    [{ provider: 'keycloak', issuer: 'https://accounts.google.com' }, 'Sign-in with an id_token is not enabled'],
    [{ provider: 'constructor' }, 'Sign-in with an id_token is not enabled'],
    [{}, 'Sign-in with an id_token is not enabled'],
  ])('%j signs nobody in', (body, message) => {
    expect(refuseIdToken(body)).toMatchObject({ status: 400, code: 'provider_disabled', message })
  })

  test('in a form of its own is refused as such', () => {
    expect(() => refuseIdToken({ provider: 7 })).toThrow(expect.objectContaining({ status: 400, code: 'bad_json' }))
  })
})
