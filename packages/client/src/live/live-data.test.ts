import { describe, expect, test } from 'vitest'
import { LiveData } from './live-data.js'
import type { RowChange } from './live-rows.js'
import { resolveSpec } from './live-spec.js'

const at = (number: number) => `wal-1:${number.toString(16)}`
const put = (id: number, text = ''): RowChange => ({ kind: 'put', row: { id, text } })
const idsOf = ({ rows }: LiveData) => rows.list().map(({ id }) => id)

const loaded = (position: string | undefined = at(16)): LiveData => {
  const data = new LiveData(resolveSpec('notes', {}))
  data.finishReading(data.beginReading(), [{ id: 1, text: 'read' }], position, false)
  return data
}

describe('the data of a live query', () => {
  test('ignores what is at its position or before, however late it comes', () => {
    const data = loaded()
    data.turn([put(1, 'older')], at(15), undefined)
    data.turn([put(1, 'as old')], at(16), undefined)
    expect(data.rows.list()).toEqual([{ id: 1, text: 'read' }])
    data.turn([put(1, 'newer')], at(17), undefined)
    data.turn([put(1, 'older again')], at(16), undefined)
    expect([data.rows.list(), data.position]).toEqual([[{ id: 1, text: 'newer' }], at(17)])
  })

  test('numbers are ordered as numbers, and other histories count as new', () => {
    const data = loaded(at(0xff))
    data.turn([put(2)], at(0x100), undefined)
    expect(idsOf(data)).toEqual([1, 2])
    data.turn([put(3)], 'wal-2:1', undefined)
    expect([idsOf(data), data.position]).toEqual([[1, 2, 3], 'wal-2:1'])
  })

  test('what is told while it reads comes on top of what was read, unless that holds it', () => {
    const data = loaded()
    const reading = data.beginReading()
    data.turn([put(2, 'in the answer')], at(17), undefined)
    data.turn([put(3, 'behind it')], at(18), undefined)
    expect(idsOf(data)).toEqual([1, 2, 3])
    data.finishReading(reading, [{ id: 9, text: 'read anew' }], at(17), false)
    expect([idsOf(data), data.position]).toEqual([[3, 9], at(18)])
  })

  test('more rows come behind those that are there, and what was told meanwhile is kept', () => {
    const data = new LiveData(resolveSpec('notes', { limit: 2 }))
    const row = (id: number) => ({ id, text: '' })
    data.finishReading(data.beginReading(), [row(1), row(3)], at(16), true)
    const reading = data.beginReading(2)
    data.turn([put(2)], at(17), undefined)
    data.finishReading(reading, [row(4), row(5)], at(16), true)
    expect([idsOf(data), data.rows.limit, data.rows.more, data.position]).toEqual([[1, 2, 3, 4], 4, true, at(17)])
    data.failReading(data.beginReading(2))
    expect([idsOf(data), data.rows.limit]).toEqual([[1, 2, 3, 4], 4])
  })

  test('is complete when everything was told that was there at the join, not before', () => {
    const data = loaded()
    data.begin(true)
    expect(data.isComplete).toBe(false)
    data.turn([], at(16), at(18))
    expect(data.isComplete).toBe(false)
    data.turn([put(2)], at(17), undefined)
    expect(data.isComplete).toBe(false)
    data.turn([], at(18), undefined)
    expect(data.isComplete).toBe(true)
  })

  test('a channel that begins with now says nothing of before: only reading helps', () => {
    const data = loaded()
    data.begin(false)
    expect([data.needsLoad, data.isComplete]).toEqual([true, false])
    data.finishReading(data.beginReading(), [], at(17), false)
    expect([data.needsLoad, data.isComplete]).toEqual([false, true])
  })

  test('a gap makes it stale until it is read anew, also where that fails or comes to a gap itself', () => {
    const data = loaded()
    data.gap(at(30))
    expect([data.needsLoad, data.position]).toEqual([true, at(30)])
    data.failReading(data.beginReading())
    expect(data.needsLoad).toBe(true)
    const reading = data.beginReading()
    data.gap(at(40))
    data.finishReading(reading, [], at(35), false)
    expect([data.needsLoad, data.position]).toEqual([true, at(40)])
  })

  test('a reading that was broken off takes nothing from the one that comes after it', () => {
    const data = loaded()
    const first = data.beginReading()
    data.failReading(first)
    const second = data.beginReading()
    data.failReading(first)
    data.turn([put(5)], at(20), undefined)
    data.finishReading(second, [], at(16), false)
    expect([idsOf(data), data.needsLoad]).toEqual([[5], false])
  })

  test('of a history that is no more nothing has to be waited for', () => {
    const data = loaded()
    data.begin(true)
    data.turn([], at(16), at(99))
    data.finishReading(data.beginReading(), [], 'wal-2:5', false)
    expect([data.isComplete, data.position]).toEqual([true, 'wal-2:5'])
  })
})
