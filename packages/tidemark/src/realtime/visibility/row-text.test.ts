import { expect, it } from 'vitest'
import { rowsText, rowText } from './row-text.js'

it('a row is the text of its composite type, NULL and an empty text told apart', () => {
  expect(rowText(['1', null, '', 'a "b" \\c'], [0, 1, 2, 3], [0, 1, 2, 3])).toBe('("1",,"","a \\"b\\" \\\\c")')
  expect(rowText(['1', 'b', undefined], [1, -1, 2, 0], [0, 2, 3])).toBe('("b",,,"1")')
  expect(rowText(['1', 'b', 'c'], [0, 1, 2], [1])).toBe('(,"b",)')
})

it('rows are the text of an array', () => {
  expect(rowsText([])).toBe('{}')
  expect(rowsText(['("1")', '("\\"")'])).toBe('{"(\\"1\\")","(\\"\\\\\\"\\")"}')
})
