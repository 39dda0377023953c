import { expect, test } from 'vitest'
import type { MoveStatus } from '../../../move/status.js'
import { gatesOf, isHeld } from './move-gates.js'

const now = Date.parse('2026-11-22T10:00:00Z')

const move = (change: Partial<MoveStatus> = {}): MoveStatus =>
  ({
    state: 'following',
    holder: { pid: 7, host: 'h', seenAt: '2026-11-22T09:59:58Z' },
    file: { fence: 'open', mirroredPosition: null, note: null },
    log: { captureId: 'c', applied: '1', checked: '1', head: '1', behind: 0 },
    mirror: { slot: 's', cutPosition: null, mirroredPosition: null, behindBytes: 10 },
    checks: { done: true, tablesDone: 2, rowsChecked: 9, differences: 0 },
    tables: [{}, {}],
    rejects: { rows: 0, values: 0, unallowed: 0 },
    ...change,
  }) as MoveStatus

const states = (given: MoveStatus): string =>
  gatesOf(given, now)
    .filter(({ state }) => state !== 'passed')
    .map(({ name, state }) => `${name} ${state}`)
    .join(', ')

test('MOVE-4: a cutover opens only where nothing is left to prove', () => {
  const silent = { pid: 7, host: 'h', seenAt: '2026-11-22T09:59:00Z' }
  const log = { captureId: 'c', applied: '1', checked: '1', head: '5000', behind: 4_999 }
  expect(states(move())).toBe('')
  expect(states(move({ holder: silent }))).toBe('holder refused')
  expect(states(move({ holder: null, file: null }))).toBe('holder refused, file refused')
  expect(states(move({ log }))).toBe('behind waiting')
  expect(states(move({ log: null }))).toBe('behind waiting')
  expect(states(move({ checks: { done: false, tablesDone: 1, rowsChecked: 1, differences: 3 } }))).toBe(
    'compared waiting, same refused',
  )
  expect(states(move({ rejects: { rows: 1, values: 0, unallowed: 1 } }))).toBe('rejects refused')
  expect(isHeld({ holder: silent }, now)).toBe(false)
})

test('MOVE-5: a rollback asks for the mirror, and states without a switch for nothing', () => {
  expect(states(move({ state: 'mirroring' }))).toBe('')
  const far = { slot: 's', cutPosition: null, mirroredPosition: null, behindBytes: 10_000_000 }
  expect(states(move({ state: 'mirroring', mirror: far, file: null }))).toBe('file refused, behind waiting')
  expect(states(move({ state: 'mirroring', mirror: null, holder: null }))).toBe('holder refused, behind waiting')
  expect(gatesOf(move({ state: 'copying' }), now)).toEqual([])
})
