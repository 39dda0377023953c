import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

const iterations = 4096
const verifier = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const storedKeyOf = (password: string, salt: Buffer, count: number): { salted: Buffer; stored: Buffer } => {
  const salted = pbkdf2Sync(password, salt, count, 32, 'sha256')
  return { salted, stored: createHash('sha256').update(hmac(salted, 'Client Key')).digest() }
}

/**
 * What Postgres keeps instead of a password (RFC 5803). Sent in place of the password, it keeps the password out of the
 * server's log and of pg_stat_statements. The password must be printable ASCII, for which SASLprep changes nothing.
 */
export const scramVerifier = (password: string, salt: Buffer = randomBytes(16)): string => {
  const { salted, stored } = storedKeyOf(password, salt, iterations)
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored.toString('base64')}:${hmac(salted, 'Server Key').toString('base64')}`
}

/** True where the verifier was made from this password. */
export const scramMatches = (stored: string | null, password: string): boolean => {
  const [, count, salt, key] = verifier.exec(stored ?? '') ?? []
  if (count === undefined || salt === undefined || key === undefined) return false
  const expected = Buffer.from(key, 'base64')
  const actual = storedKeyOf(password, Buffer.from(salt, 'base64'), Number(count)).stored
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}
