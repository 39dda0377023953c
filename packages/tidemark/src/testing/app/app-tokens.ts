/** Tokens as the agents' own system issues them: subjects are no uuids (C1). */
import { createHmac } from 'node:crypto'

export const secret = 'a-secret-of-this-test-that-is-long-enough'

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export const tokenOf = (sub: string, claims: object = {}): string => {
  const now = Math.floor(Date.now() / 1000)
  const payload = { sub, role: 'authenticated', aud: 'authenticated', iat: now, exp: now + 3600, ...claims }
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

export const adminToken = (): string => tokenOf('boss', { app_metadata: { role: 'admin' } })
