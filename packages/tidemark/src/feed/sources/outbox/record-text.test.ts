import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRecordText } from './record-text.js'

/** As Postgres writes it: quotes where there is nothing, or a character that means something. */
const write = (values: readonly (string | null)[]): string => {
  const one = (value: string | null): string => {
    if (value === null) return ''
    return value === '' || /["\\(),\s]/.test(value) ? `"${value.replace(/["\\]/g, '$&$&')}"` : value
  }
  return `(${values.map(one).join(',')})`
}

describe('a row in text form', () => {
  it.each([
    ['(1)', ['1']],
    ['(1,,"")', ['1', null, '']],
    ['(,)', [null, null]],
    ['("a,b","c ""d"" \\\\ e",f)', ['a,b', 'c "d" \\ e', 'f']],
    ['("""","\\\\")', ['"', '\\']],
    ['("{""a"": 1}")', ['{"a": 1}']],
  ])('%s is taken apart', (text, values) => {
    expect(parseRecordText(text)).toEqual(values)
  })

  it('has every value that was written', () => {
    const value = fc.option(fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '(', ')', ' ', '\n', 'ß', '🙂') }))
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), (values) => {
        expect(parseRecordText(write(values))).toEqual(values)
      }),
      { numRuns: 1_000 },
    )
  })
})
