import { createHmac, type KeyObject, randomBytes, randomUUID, sign } from 'node:crypto'

const secret = 'a secret of the benchmark'

/** A contact as a CRM sends it, of about two kilobytes, with an id that nobody has seen. */
const bodyOf = (n: number): string =>
  JSON.stringify({
    eventId: randomUUID(),
    event: 'contact.updated',
    timestamp: new Date().toISOString(),
    contact: String(n % 5000),
    name: 'Zoë Müller',
    notes: 'Would like to see the house on the hill again, in the morning if possible. '.repeat(22),
    tags: ['buyer', 'spring', 'second visit'],
    address: { city: 'Darwin', state: 'NT', postalCode: '0800', country: 'AU' },
  })

/** Signed with HMAC. */
export const requestText = (n: number): string => {
  const body = bodyOf(n)
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  const head = [
    'POST /webhooks/bench HTTP/1.1',
    'host: 127.0.0.1',
    'content-type: application/json',
    `x-bench-signature: ${signature}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return [...head, '', body].join('\r\n')
}

const signedRequest = (body: string, signature: string): string => {
  const head = [
    'POST /webhooks/gohighlevel HTTP/1.1',
    'host: 127.0.0.1',
    'content-type: application/json',
    `x-ghl-signature: ${signature}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return [...head, '', body].join('\r\n')
}

const contactOf = (n: number): string =>
  JSON.stringify({
    type: 'ContactUpdate',
    webhookId: randomUUID(),
    locationId: 'bench',
    id: String(n % 5000),
    timestamp: new Date().toISOString(),
    notes: 'Would like to see the house on the hill again, in the morning if possible. '.repeat(22),
  })

/** Signed with Ed25519. */
export const ed25519Request =
  (key: KeyObject) =>
  (n: number): string => {
    const body = contactOf(n)
    return signedRequest(body, sign(null, Buffer.from(body), key).toString('base64'))
  }

const ed25519Bytes = 64

/** Of the right form, and of nobody's key. */
export const forgedRequest = (n: number): string => signedRequest(contactOf(n), randomBytes(ed25519Bytes).toString('base64'))
