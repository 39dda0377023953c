import { describe, expect, it } from 'vitest'
import { parseFilter } from './filter-text.js'

const term = (column: string, operator: string, value: string, negated = false) => ({ column, operator, value, negated })

describe('a filter', () => {
  it.each([
    ['id=eq.1', [term('id', 'eq', '1')]],
    [' id=gt.0,id=lt.100 ', [term('id', 'gt', '0'), term('id', 'lt', '100')]],
    ['subject=not.like.hey%', [term('subject', 'like', 'hey%', true)]],
    ['subject=eq.not.eq.1', [term('subject', 'eq', 'not.eq.1')]],
    ['id=in.(1,2,3),area=eq.x', [term('id', 'in', '1,2,3'), term('area', 'eq', 'x')]],
    ['id=not.in.("a,b",c)', [term('id', 'in', '"a,b",c', true)]],
    ['area=eq."Oslo, Norway",id=eq.1', [term('area', 'eq', 'Oslo, Norway'), term('id', 'eq', '1')]],
    [String.raw`area=eq."a \"b\" \\"`, [term('area', 'eq', String.raw`a "b" \ `.trimEnd())]],
    ['area=eq."half', [term('area', 'eq', '"half')]],
    ['area=eq."a"b', [term('area', 'eq', '"a"b')]],
    ['area=eq.5"', [term('area', 'eq', '5"')]],
    ['at=eq.2026-02-03 10:00:00.5', [term('at', 'eq', '2026-02-03 10:00:00.5')]],
    ['a=eq.', [term('a', 'eq', '')]],
    ['a=eq.(x,y', [term('a', 'eq', '(x,y')]],
    ['deleted_at=is.null', [term('deleted_at', 'is', 'null')]],
    ['', []],
    ['   ', []],
    [undefined, []],
  ])('%j is read', (text, terms) => {
    expect(parseFilter(text)).toEqual(terms)
  })

  it.each([
    ['undefined', 'Error parsing `filter` params: ["undefined"]'],
    ['subject=foo.hey', 'Error parsing `filter` params: ["foo", "hey"]'],
    ['subject=eq', 'Error parsing `filter` params: ["eq"]'],
    ['a=eq.1,,b=eq.2', 'Error parsing `filter` params: filter must not contain empty segments (check for extra commas)'],
    ['id=in.1,2', 'Error parsing `filter` params: `in` filter value must be wrapped by parentheses'],
    ['a=eq.\0', 'Error parsing `filter` params: it holds a zero byte'],
  ])('%j is refused, in the words of Supabase', (text, message) => {
    expect(() => parseFilter(text)).toThrow(expect.objectContaining({ code: 'TM_REALTIME_FILTER', message }))
  })
})
