import { expect, test } from 'vitest'
import { TidemarkError } from '../../../errors.js'
import { defaultWorkerSettings, resolveWorkerSettings } from '../worker-settings.js'
import { errorText, judge } from './attempts.js'
import { createQuickTypes } from './quick-types.js'

const rules = { maxAttempts: 8, retryBaseMs: 1_000, retryMaxMs: 900_000 }

test('R67: pauses double, are a random part of that, and end with the last attempt', () => {
  const pauses = Array.from({ length: 8 }, (_each, at) => judge(new Error('no'), at + 1, rules, () => 1))
  expect(pauses.map((verdict) => (verdict.kind === 'failed' ? verdict.retryInMs : verdict.reason))).toEqual([
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    32_000,
    64_000,
    'attempts',
  ])
  expect(judge(new Error('no'), 3, rules, () => 0.25)).toMatchObject({ retryInMs: 1_000 })
  expect(judge(new Error('no'), 20, { ...rules, maxAttempts: 99 }, () => 1)).toMatchObject({ retryInMs: 900_000 })
})

test('what is refused is not tried again', () => {
  const refused = new TidemarkError('TM_WEBHOOKS_REFUSED', { reason: 'no such listing' })
  expect(judge(refused, 1, rules, () => 1)).toMatchObject({ kind: 'dead', reason: 'refused' })
})

test('SEC-2: an error is kept with its stack, without secrets, and in what Postgres can hold', () => {
  const text = errorText(new Error('postgres://a:b@c/d says \0 \ud800 no'))
  expect(text).toMatch(/postgres:\/\/a:\*\*\*@c\/d says {2}\ufffd no\n\s+at /)
  expect(errorText('x'.repeat(20_000))).toHaveLength(8_000)
  expect(errorText(undefined)).toBe('undefined')
})

test('a type is quick once it was so often enough, and has to earn that anew where it was not', () => {
  const quick = createQuickTypes(10)
  for (let run = 0; run < 19; run++) quick.ran('a', 1)
  expect(quick.isQuick('a')).toBe(false)
  quick.ran('a', 1)
  expect(quick.isQuick('a')).toBe(true)
  for (let run = 0; run < 30; run++) quick.ran('a', 50)
  expect(quick.isQuick('a')).toBe(false)
  for (let run = 0; run < 40; run++) quick.ran('b', 1)
  quick.distrust('b')
  for (let run = 0; run < 40; run++) quick.ran('b', 1)
  expect(quick.isQuick('b')).toBe(false)
})

test('settings that cannot work are refused', () => {
  expect(resolveWorkerSettings({ maxAttempts: 3 })).toEqual({ ...defaultWorkerSettings, maxAttempts: 3 })
  expect(() => resolveWorkerSettings({ concurrency: 0 })).toThrow(/concurrency/)
  expect(() => resolveWorkerSettings({ leaseMs: 5_000, heartbeatMs: 4_000 })).toThrow(/two heartbeats/)
})
