import { expect, test } from 'vitest'
import type { EventDetail } from '../../webhooks/replay/stored-events.js'
import { showText } from './hooks-text.js'

const at = '2026-11-22T10:00:00.000Z'
const plain = new Proxy({}, { get: () => (text: string) => text }) as Parameters<typeof showText>[1]

const line = {
  attempt: 1,
  replayId: null,
  at,
  beganAt: at,
  durationMs: 12,
  worker: 'host:1:ab',
  stack: '    at x (y.js:1:1)',
} as const
const event = {
  id: 'e1',
  type: 'contact.created',
  provider: 'generic',
  tenant: '',
  status: 'dead',
  reason: 'attempts',
  attempts: 2,
  receivedAt: at,
  processedAt: null,
  nextAttemptAt: null,
  entity: null,
  lane: 'l',
  partition: 0,
  verified: true,
  trust: 'statement',
  replayId: null,
  edited: false,
  edits: [],
  error: null,
  headers: {},
  raw: '{}',
  attemptsLeftOut: 3,
  attemptLog: [
    {
      ...line,
      outcome: 'worker_ended',
      beganAt: null,
      durationMs: null,
      code: null,
      message: null,
      stack: null,
      nextAt: null,
      deadReason: null,
    },
    {
      ...line,
      outcome: 'breaker_open',
      code: 'TM_RESILIENCE_BREAKER_OPEN',
      message: 'The circuit\nbreaker',
      nextAt: at,
      deadReason: null,
    },
    { ...line, attempt: 2, outcome: 'failed', code: null, message: 'no', nextAt: null, deadReason: 'attempts' },
  ],
} as unknown as EventDetail

test('R67: an event is shown with a line for each attempt, without stacks', () => {
  const text = showText(event, plain)
  const lines = text.split('\n')
  expect(lines).toContain('3 attempts before these were left out.')
  expect(lines.find((each) => each.includes('worker ended'))).toMatch(/^1 .*host:1:ab +its worker ended; not counted/)
  expect(lines.find((each) => each.includes('skipped'))).toMatch(
    /12 ms .*next was due .*TM_RESILIENCE_BREAKER_OPEN: The circuit$/,
  )
  expect(lines.find((each) => each.includes('(attempts)') && each.startsWith('2'))).toMatch(/failed; dead \(attempts\) +no$/)
  expect(text).not.toContain('y.js')
})
