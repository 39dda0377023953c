import { expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { createLogger } from '../observability/log.js'
import { logFailures } from './failures.js'

const logged = (error: unknown, status: number): Record<string, unknown> => {
  const lines: string[] = []
  const log = createLogger({ destination: { write: (line) => lines.push(line) } })
  logFailures(log)({ error, status, code: 'REANNA_ELSEWHERE', route: '/tours/:id', requestId: 'r1' })
  return JSON.parse(lines.join('')) as Record<string, unknown>
}

it('what is to be asked again, such as a write while a move holds the tables, is a warning; anything else is an error', () => {
  const fenced = new Error('of a row: secret')
  expect(logged(fenced, 503)).toMatchObject({ level: 'warn', code: 'REANNA_ELSEWHERE', cause: 'unexpected' })
  expect(logged(new TidemarkError('TM_STORE_CLOSED', {}), 500)).toMatchObject({ level: 'error', cause: 'TM_STORE_CLOSED' })
  expect(JSON.stringify(logged(fenced, 500))).not.toContain('secret')
})
