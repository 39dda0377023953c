import { z } from 'zod'
import { AuthError } from '../auth-error.js'
import { optionalText, readBody } from '../fields.js'

const idTokenBody = z.object({ provider: optionalText, issuer: optionalText })

/** Who signs the tokens of a provider, as clients are told. */
const issuers: Readonly<Record<string, string>> = {
  apple: 'https://appleid.apple.com',
  facebook: 'https://www.facebook.com',
  google: 'https://accounts.google.com',
  kakao: 'https://kauth.kakao.com',
}

/** `POST /token?grant_type=id_token`: nobody else's tokens sign in here. */
export const refuseIdToken = (given: unknown): AuthError => {
  const { provider, issuer } = readBody(idTokenBody, given)
  const [, known] =
    Object.entries(issuers).find(([name, address]) => name === provider || (provider === '' && address === issuer)) ?? []
  const whose = known === undefined ? 'Sign-in with an id_token' : `Provider (issuer "${known}")`
  return new AuthError(400, 'provider_disabled', `${whose} is not enabled`)
}
