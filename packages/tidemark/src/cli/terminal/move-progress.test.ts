import pc from 'picocolors'
import { describe, expect, test } from 'vitest'
import { barOf, counted, progressLines, summaryLine } from '../text/progress-text.js'
import { createMoveProgress } from './move-progress.js'

const plain = pc.createColors(false)

const open = () => {
  let now = 0
  const progress = createMoveProgress(() => now)
  return { progress, at: (ms: number) => (now = ms) }
}

describe('the progress of a move', () => {
  test('adds up tables under way and finished, and reckons speed and time left', () => {
    const { progress, at } = open()
    progress.take({ type: 'phase', phase: 'copy', rowsTotal: 10_000 })
    progress.take({ type: 'table', phase: 'copy', table: 'a', state: 'started', rows: 6_000 })
    progress.take({ type: 'table', phase: 'copy', table: 'b', state: 'started', rows: 4_000 })
    progress.take({ type: 'progress', phase: 'copy', table: 'a', rowsDone: 0, rowsTotal: 6_000, bytesDone: 0 })
    at(1000)
    progress.take({ type: 'progress', phase: 'copy', table: 'a', rowsDone: 1_000, rowsTotal: 6_000, bytesDone: 0 })
    expect(progress.view()).toMatchObject({
      rowsDone: 1_000,
      rowsTotal: 10_000,
      rowsPerSecond: 1_000,
      msLeft: 9_000,
      tablesDone: 0,
    })
    at(2000)
    progress.take({ type: 'table', phase: 'copy', table: 'b', state: 'finished', rows: 4_000 })
    expect(progress.view()).toMatchObject({ rowsDone: 5_000, tablesDone: 1, running: [{ table: 'a' }] })
  })

  test('the speed is that of the last five seconds', () => {
    const { progress, at } = open()
    progress.take({ type: 'phase', phase: 'copy', rowsTotal: 1_000_000 })
    for (let second = 0; second <= 20; second++) {
      at(second * 1000)
      const rowsDone = second <= 10 ? second * 10 : 100 + (second - 10) * 1000
      progress.take({ type: 'progress', phase: 'copy', table: 'a', rowsDone, rowsTotal: 1_000_000, bytesDone: 0 })
    }
    expect(progress.view().rowsPerSecond).toBe(1000)
  })

  test('a new phase starts from nothing; rejects stay counted', () => {
    const { progress } = open()
    progress.take({ type: 'phase', phase: 'copy', rowsTotal: 10 })
    progress.take({ type: 'table', phase: 'copy', table: 'a', state: 'finished', rows: 10 })
    progress.take({
      type: 'reject',
      reject: { table: 'a', key: 'id=1', column: null, reason: 'r', bytes: null, outcome: 'rowRejected' },
    })
    progress.take({ type: 'phase', phase: 'index', rowsTotal: 0 })
    progress.take({ type: 'object', name: 'a_idx', kind: 'index', state: 'started', reason: null })
    expect(progress.view()).toMatchObject({ phase: 'index', rowsDone: 0, rejects: 1, building: ['a_idx'] })
    progress.take({ type: 'object', name: 'a_idx', kind: 'index', state: 'finished', reason: null })
    expect(progress.view().building).toEqual([])
  })
})

describe('progress as text', () => {
  const view = {
    phase: 'copy' as const,
    rowsDone: 500_000,
    rowsTotal: 2_000_000,
    rowsPerSecond: 100_000,
    msLeft: 15_000,
    tablesDone: 1,
    rejects: 1,
    running: [
      {
        table: 'a_table_with_a_name_that_is_much_too_long_for_the_line',
        rowsDone: 50,
        rowsTotal: 100,
        rowsPerSecond: 10,
        msLeft: 5000,
      },
    ],
    building: ['an_index'],
    lag: undefined,
    check: undefined,
  }

  test('one line says how far the whole is', () => {
    expect(summaryLine(view)).toBe('Copying · 500,000 of 2,000,000 rows · 100,000 rows/s · 15.0 s left · 1 reject')
    expect(counted(1, 'row')).toBe('1 row')
  })

  test.each([40, 80, 200])('no line is wider than a terminal of %i columns', (columns) => {
    const lines = progressLines(view, columns, plain)
    expect(lines).toHaveLength(3)
    for (const line of lines) expect(line.length).toBeLessThan(columns)
  })

  test('a bar is full exactly when everything is done', () => {
    expect(barOf(0, 100, 4)).toBe('░░░░')
    expect(barOf(99, 100, 4)).toBe('███░')
    expect(barOf(100, 100, 4)).toBe('████')
    expect(barOf(0, 0, 4)).toBe('░░░░')
  })
})
