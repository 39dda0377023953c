import type { z } from 'zod'
import { TidemarkError } from '../../errors.js'

const holdsNul = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.includes('\0')
    : typeof value === 'object' && value !== null && Object.values(value).some(holdsNul)

/** The body or query of a request as its schema has it. Raises TM_SERVER_BAD_REQUEST, which names the fields and not their values. */
export const validate = <T>(schema: z.ZodType<T>, value: unknown): T => {
  if (holdsNul(value))
    throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: 'a text holds the character NUL, which Postgres cannot hold.' })
  const result = schema.safeParse(value ?? {})
  if (result.success) return result.data
  const reason = result.error.issues
    .map(({ path, message }) => `${path.length > 0 ? path.join('.') : 'body'}: ${message}`)
    .join('; ')
  throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: `${reason}.` })
}
