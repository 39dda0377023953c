import { describe, expect, it } from 'vitest'
import { RestError } from '../rest-error.js'
import { parseLogic, parseOperation } from './conditions.js'
import { limits } from './limits.js'
import { parseOrder } from './order.js'
import { parseNames, parseTreePath } from './paths.js'
import { parseSelect } from './select.js'

const refusal = (read: () => unknown): RestError => {
  try {
    read()
  } catch (error) {
    if (error instanceof RestError) return error
    throw error
  }
  throw new Error('was read')
}

const told = (read: () => unknown) => {
  const { code, status, message, details } = refusal(read)
  expect({ code, status }).toEqual({ code: 'PGRST100', status: 400 })
  return [/" \((.*)\)$/.exec(message)?.[1], details]
}

describe('what is wrong with select', () => {
  it.each([
    [':', 1, 'unexpected ":" expecting "...", field name (* or [a..z0..9_$]), "*" or "count()"'],
    ['id,clients(name[])', 16, `unexpected '[' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input`],
    ['data->>-78xy', 11, `unexpected 'x' expecting digit, "->", "::", ".", "," or end of input`],
    ['name!hint', 5, `unexpected '!' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input`],
    ['*!hint', 2, `unexpected '!' expecting ")", "," or end of input`],
    ['name::', 7, 'unexpected end of input expecting letter or digit'],
    ['id,', 4, 'unexpected end of input expecting "...", field name (* or [a..z0..9_$]), "*" or "count()"'],
    ['a(b', 4, 'unexpected end of input expecting letter, digit, "-", "->>", "->", "::", ".", "," or ")"'],
    ['id-,na$me', 4, 'unexpected "," expecting ">", letter or digit'],
    ['price.sam()', 7, 'unexpected "a" expecting "sum"'],
    ['price.x()', 7, 'unexpected "x" expecting "sum", "avg", "count", "max" or "min"'],
    ['price.mix()', 7, 'unexpected "m" expecting "sum", "avg", "count", "max" or "min"'],
    [
      'data->(!@#$%^&*_d->>!@#$%^&*_e::integer',
      7,
      'unexpected "(" expecting "-", digit or any non reserved character different from: .,>()',
    ],
    ['data->>--34', 9, 'unexpected "-" expecting digit'],
    ['...rel->json(*)', 9, "unexpected '>'"],
    ['"abc', 5, 'unexpected end of input expecting "\\\\" or "\\""'],
    ['a\n\t]', 2, `unexpected '\\n' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input`],
    ['é,🐘', 3, 'unexpected "\\128024" expecting "...", field name (* or [a..z0..9_$]), "*" or "count()"'],
  ])('%s', (text, column, details) => {
    expect(told(() => parseSelect(text))).toEqual([`line 1, column ${column}`, details])
    expect(refusal(() => parseSelect(text)).message).toContain(`"failed to parse select parameter (${text})" `)
  })

  it('counts lines and tab stops', () => {
    expect(told(() => parseSelect('"\n\t" ]'))[0]).toBe('line 2, column 11')
  })
})

describe('what is wrong with a filter', () => {
  const operators = 'operator (eq, gt, ...)'
  it.each([
    ['0', 1, `unexpected "0" expecting "not" or ${operators}`],
    ['', 1, `unexpected end of input expecting "not" or ${operators}`],
    ['noop.0', 1, `unexpected "o" expecting "not" or ${operators}`],
    ['val', 1, `unexpected "v" expecting "not" or ${operators}`],
    ['fts().value', 5, `unexpected ")" expecting ${operators}`],
    ['eq().value', 4, `unexpected ")" expecting ${operators}`],
    ['eq(any)value', 8, `unexpected "v" expecting ${operators}`],
    ['plfts(library.arabic).x', 14, `unexpected "." expecting ${operators}`],
    ['neq(any).value', 4, `unexpected "(" expecting ${operators}`],
    ['is().value', 3, `unexpected "(" expecting ${operators}`],
    ['in().value', 3, `unexpected "(" expecting ${operators}`],
    ['not.xyz', 5, `unexpected "x" expecting ${operators}`],
    ['in.1,2', 4, 'unexpected "1" expecting "("'],
    ['in.(1,2', 8, 'unexpected end of input expecting "," or ")"'],
    ['is.nil', 5, 'unexpected "i" expecting isVal: (null, not_null, true, false, unknown)'],
    ['is.ok', 4, 'unexpected "o" expecting isVal: (null, not_null, true, false, unknown)'],
  ])('%s', (text, column, details) => {
    expect(told(() => parseOperation(text))).toEqual([`line 1, column ${column}`, details])
    expect(refusal(() => parseOperation(text)).message).toContain(`"failed to parse filter (${text})" `)
  })
})

describe('what is wrong with an order', () => {
  const ways = '"asc", "desc", "nullsfirst" or "nullslast"'
  it.each([
    ['clients(name,id)', 8, `unexpected '(' expecting letter, digit, "-", "->>", "->", delimiter (.), "," or end of input`],
    ['id.ac', 4, `unexpected "c" expecting ${ways}`],
    ['id.descc', 8, `unexpected 'c' expecting delimiter (.), "," or end of input`],
    ['id.nulsfist', 4, `unexpected "n" expecting ${ways}`],
    ['id.nullslasttt', 13, `unexpected 't' expecting "," or end of input`],
    ['id.smth34', 4, `unexpected "s" expecting ${ways}`],
    ['id.asc.nlsfst', 8, 'unexpected "l" expecting "nullsfirst" or "nullslast"'],
    ['id.asc.nullslasttt', 17, `unexpected 't' expecting "," or end of input`],
    ['id.asc.smth34', 8, 'unexpected "s" expecting "nullsfirst" or "nullslast"'],
    [
      'coalesce(updated_at, created_at).desc',
      9,
      `unexpected '(' expecting letter, digit, "-", "->>", "->", delimiter (.), "," or end of input`,
    ],
  ])('%s', (text, column, details) => {
    expect(told(() => parseOrder(text))).toEqual([`line 1, column ${column}`, details])
    expect(refusal(() => parseOrder(text)).message).toContain(`"failed to parse order (${text})" `)
  })
})

describe('what is wrong with a group', () => {
  it.each([
    [
      'or',
      '()',
      4,
      'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)',
    ],
    ['or', '(id.in.1,2,id.eq.3)', 10, 'unexpected "1" expecting "("'],
    ['or', ')(', 3, 'unexpected ")" expecting "("'],
    ['and', '(ord(id.eq.1,id.eq.1),id.eq.2)', 7, 'unexpected "d" expecting "("'],
    ['or', '(id.eq.1,not.xor(id.eq.2,id.eq.3))', 16, 'unexpected "x" expecting logic operator (and, or)'],
  ])('%s=%s', (operator, text, column, details) => {
    expect(told(() => parseLogic(operator, text))).toEqual([`line 1, column ${column}`, details])
    expect(refusal(() => parseLogic(operator, text)).message).toContain(`"failed to parse logic tree (${text})" `)
  })
})

describe('what is wrong with a name', () => {
  it.each([
    ['metadata->>->>snooze', 13, 'unexpected ">" expecting digit'],
    ['data->>--34', 9, 'unexpected "-" expecting digit'],
    ['data->>-xy-4', 9, 'unexpected "x" expecting digit'],
    ['', 1, 'unexpected end of input expecting field name (* or [a..z0..9_$])'],
    ['(item)', 1, 'unexpected "(" expecting field name (* or [a..z0..9_$])'],
  ])('%s', (text, column, details) => {
    expect(told(() => parseTreePath(text))).toEqual([`line 1, column ${column}`, details])
  })

  it('in columns and on_conflict', () => {
    const details = 'unexpected end of input expecting field name (* or [a..z0..9_$])'
    expect(told(() => parseNames('columns', ''))).toEqual(['line 1, column 1', details])
    expect(told(() => parseNames('on_conflict', 'a,'))).toEqual(['line 1, column 3', details])
  })
})

describe('what is too much', () => {
  const deep = (open: string, middle: string, close: string, levels: number) =>
    open.repeat(levels) + middle + close.repeat(levels)

  it('is refused by its depth, not by the stack', () => {
    const details = `nested deeper than ${limits.depth} levels`
    expect(told(() => parseSelect(deep('a(', '*', ')', limits.depth + 1)))[1]).toBe(details)
    expect(told(() => parseLogic('and', deep('(and', '(a.eq.1)', ')', limits.depth)))[1]).toBe(details)
    expect(told(() => parseSelect('a('.repeat(1e6)))[1]).toBe(details)
  })

  it('is what goes beyond the limit, no less', () => {
    expect(parseSelect(deep('a(', '*', ')', limits.depth))).toHaveLength(1)
    expect(parseLogic('and', deep('(and', '(a.eq.1)', ')', limits.depth - 1))).toMatchObject({ kind: 'and' })
  })

  it('is not repeated in full', () => {
    expect(refusal(() => parseOperation('x'.repeat(1e6))).message.length).toBeLessThan(limits.shown + 100)
  })
})
