import { createHmac } from 'node:crypto'

/** `whsec_` and base64, or base64 alone; at least so many bytes. */
const leastBytes = 16

/** The bytes of a secret; undefined for one that is none. */
export const secretBytes = (secret: string): Buffer | undefined => {
  const text = secret.replace(/^whsec_/, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length >= leastBytes ? bytes : undefined
}

/** The headers of Standard Webhooks. Several secrets sign side by side, so that one can be put in the place of another. */
export const signedHeaders = (
  secrets: readonly Buffer[],
  { id, timestampSeconds, body }: { readonly id: string; readonly timestampSeconds: number; readonly body: string },
): Readonly<Record<string, string>> => ({
  'webhook-id': id,
  'webhook-timestamp': String(timestampSeconds),
  'webhook-signature': secrets
    .map((secret) => `v1,${createHmac('sha256', secret).update(`${id}.${timestampSeconds}.${body}`).digest('base64')}`)
    .join(' '),
})
