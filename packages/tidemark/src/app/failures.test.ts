import { expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { createLogger } from '../observability/log.js'
import { logFailures } from './failures.js'

const logged = (error: unknown): Record<string, unknown> => {
  const lines: string[] = []
  const log = createLogger({ destination: { write: (line) => lines.push(line) } })
  logFailures(log)({ error, code: 'unavailable', route: '/tours/:id', requestId: 'r1' })
  return JSON.parse(lines.join('')) as Record<string, unknown>
}

it('a write that came while the writer was being switched is a warning, anything else an error', () => {
  const fenced = new TidemarkError('TM_STORE_NO_WRITER', { waitedMs: 2000, reason: 'a cutover goes on' })
  expect(logged(fenced)).toMatchObject({ level: 'warn', cause: 'TM_STORE_NO_WRITER', route: '/tours/:id' })
  expect(logged(new TidemarkError('TM_STORE_CLOSED', {}))).toMatchObject({ level: 'error', cause: 'TM_STORE_CLOSED' })
  expect(logged(new Error('of a row: secret'))).toMatchObject({ level: 'error', cause: 'unexpected' })
})
