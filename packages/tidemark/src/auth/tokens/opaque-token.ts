import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

/** A token that nobody guesses: 32 random bytes. */
export const drawToken = (): string => randomBytes(32).toString('base64url')

/** What is kept of a token. It is random throughout, so that a plain hash says nothing about it. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

const nonceBytes = 12
const tagBytes = 16

const keyFrom = (token: string): Buffer => Buffer.from(hkdfSync('sha256', token, '', 'tidemark refresh token successor', 32))

/**
 * One token, readable with another in hand only. Who reads the database cannot use it, and who lost the answer to a refresh gets
 * the same new token again.
 */
export const sealFor = (holder: string, token: string): Buffer => {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', keyFrom(holder), nonce)
  const sealed = Buffer.concat([cipher.update(token, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed])
}

/** Undefined for anything that was not sealed for that token. */
export const unseal = (holder: string, sealed: Buffer): string | undefined => {
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyFrom(holder), sealed.subarray(0, nonceBytes))
    decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes))
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
