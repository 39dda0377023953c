import { describe, expect, it } from 'vitest'
import { captureTablesOf, isPlainKeyValue, keyColumnsOf, logKeyOf, rowColumn, withoutRowColumn } from './log-key.js'
import type { ColumnPlan, Conversion, MovePlan, TablePlan } from './move.js'
import { liveShape } from './plan/live-table.js'
import { columnPlan, tablePlan } from './testing/plans.js'

const column = (source: string, conversion: Conversion, rest: Partial<ColumnPlan> = {}): ColumnPlan =>
  columnPlan({ source, conversion, declaredType: 'TEXT', ...rest })

const table = (columns: readonly ColumnPlan[], rest: Partial<TablePlan> = {}): TablePlan =>
  tablePlan(columns, {
    reportKey: columns.map(({ source }) => source),
    primaryKey: columns.map(({ target }) => target),
    requiredParents: [{ columns: ['k'], parentTable: 'p', parentColumns: ['id'] }],
    ...rest,
  })

const live = (planned: TablePlan): TablePlan => liveShape({ tables: [planned], objects: [] }).tables[0]!
const text = (rest: Partial<ColumnPlan> = {}) => column('k', { kind: 'text' }, rest)
const uuid = (form: 'dashed' | 'dashless' | 'mapped', declaredType = 'TEXT') =>
  column('k', { kind: 'uuid', form, namespace: '' }, { targetType: 'uuid', declaredType })
const moment = (format: boolean) =>
  column(
    'k',
    { kind: 'timestamp', format: format ? { separator: ' ', seconds: true, fraction: 0, zone: 'none' } : null },
    { targetType: 'timestamp without time zone' },
  )
const policies = (rest: Partial<ColumnPlan['policies']>) => ({ policies: { ...text().policies, ...rest } })

describe('the key by which the log names rows', () => {
  it.each([
    ['text', text()],
    ['a uuid', uuid('dashed')],
    ['a mapped id', uuid('mapped')],
    ['a moment of one format', moment(true)],
    ['a whole number', column('k', { kind: 'integer' }, { targetType: 'integer', declaredType: 'INT' })],
  ])('is its own where that stands for the same rows in Postgres: %s', (_name, key) => {
    const planned = live(table([key]))
    expect(logKeyOf(planned)).toEqual({ kind: 'columns', columns: ['k'] })
    expect(keyColumnsOf(planned)).toEqual([key])
    expect(planned.requiredParents).toEqual([])
  })

  it.each([
    ['mixed values as text', column('k', { kind: 'anyText' })],
    ['a mapped id without affinity', uuid('mapped', '')],
    ['a mapped id of a strict table of any type', uuid('mapped', 'ANY')],
    ['a moment of any format', moment(false)],
    ['text that ignores case', text({ targetType: 'citext' })],
    ['an enum', text({ targetType: 'mood' })],
    ['values that a policy makes NULL', text(policies({ badValue: 'null' }))],
  ])('is the rowid, in a column of its own, where it does not: %s', (_name, key) => {
    const planned = live(table([key]))
    expect(logKeyOf(planned)).toEqual({ kind: 'rowid', name: 'rowid' })
    expect(planned.reportKey).toEqual(['rowid'])
    expect(planned.columns.map(({ target }) => target)).toEqual(['k', rowColumn])
    expect(withoutRowColumn(planned).columns).toEqual([key])
    expect(live(planned)).toEqual(planned)
  })

  it('is none where there is no rowid either', () => {
    const planned = live(table([moment(false)], { rowKey: { kind: 'columns', columns: ['k'] } }))
    expect(logKeyOf(planned)).toEqual({ kind: 'none' })
    expect(logKeyOf(table([text()], { primaryKey: [] }))).toEqual({ kind: 'none' })
  })

  it('has the order of the target, and only its columns', () => {
    const [a, b] = [text(), column('b', { kind: 'text' })]
    expect(logKeyOf(live(table([a, b], { primaryKey: ['b', 'k'] })))).toEqual({ kind: 'columns', columns: ['b', 'k'] })
    expect(logKeyOf(live(table([a, b], { primaryKey: ['k'] })))).toEqual({ kind: 'rowid', name: 'rowid' })
  })

  it('is numbered by the place in the plan', () => {
    const plan = { tables: [live(table([text()])), live(table([moment(false)], { source: 'u' }))] } as unknown as MovePlan
    expect(captureTablesOf(plan)).toEqual([
      { id: 1, name: 't', key: { kind: 'columns', columns: ['k'] } },
      { id: 2, name: 'u', key: { kind: 'rowid', name: 'rowid' } },
    ])
  })

  it('has few values that another may stand for', () => {
    const strip = text(policies({ nulBytes: 'strip', invalidUtf8: 'latin1' }))
    const cases: readonly (readonly [ColumnPlan, unknown, boolean])[] = [
      [uuid('dashed'), 'abc', true],
      [uuid('dashed'), 'aBc', false],
      [uuid('mapped'), 'aBc', true],
      [text(), 'a\0', true],
      [strip, 'a\0', false],
      [strip, '\uFFFD', false],
      [strip, 'a', true],
      [strip, 5n, true],
      [text(), null, true],
      [text(policies({ nullAs: 'x' })), null, false],
      [moment(true), '2024', true],
    ]
    for (const [key, value, isPlain] of cases) expect([value, isPlainKeyValue(key, value)]).toEqual([value, isPlain])
  })
})
