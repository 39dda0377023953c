import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { elementTexts, parseJson, readJson, scanJson } from './json-text.js'

const limits = { maxDepth: 100 }
const read = (text: string) => readJson(Buffer.from(text), limits)
const reasonOf = (raw: Buffer | string) => {
  const answer = readJson(Buffer.from(raw as string), limits)
  return answer.ok ? undefined : answer.reason
}

describe('bodies of strangers', () => {
  it('gives whole numbers beyond 2^53 as text, digit for digit (F15)', () => {
    const text =
      '{"id":9007199254740993,"min":-9223372036854775808,"small":9007199254740991,"price":12.50,"note":"12345678901234567890"}'
    expect(read(text)).toEqual({
      ok: true,
      text,
      verbatim: true,
      value: {
        id: '9007199254740993',
        min: '-9223372036854775808',
        small: 9007199254740991,
        price: 12.5,
        note: '12345678901234567890',
      },
    })
  })

  it('takes no number for a key', () => {
    expect(reasonOf('{12345678901234567:1}')).toBe('it is not JSON')
  })

  it('is indifferent to a byte order mark, to CRLF and to white space at the end (F10)', () => {
    expect(read('\ufeff{\r\n "a": 1\r\n}\r\n  ')).toMatchObject({ ok: true, value: { a: 1 } })
  })

  it('takes the last of two equal keys, as Postgres does', () => {
    expect(read('{"a":1,"a":2}')).toMatchObject({ value: { a: 2 } })
  })

  it('keeps names that mean something to JavaScript as mere names (F12)', () => {
    const answer = read('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}')
    expect(answer.ok && Object.keys(answer.value as object)).toEqual(['__proto__', 'constructor'])
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
    expect(answer.ok && (answer.value as Record<string, unknown>)['admin']).toBeUndefined()
  })

  it.each([
    ['UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le'), 'it is not UTF-8'],
    ['broken UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22]), 'it is not UTF-8'],
    ['nothing', Buffer.alloc(0), 'it is not JSON'],
    ['a string without an end', Buffer.from('"abc'), 'it is not JSON'],
    ['an escape without an end', Buffer.from('"abc\\"'), 'it is not JSON'],
    ['a number that has no end', Buffer.from('1e999999'), 'a number in it is out of range'],
    ['a number of a million zeros', Buffer.from('[1e-400]'), 'a number in it is out of range'],
  ])('says why it cannot read %s', (_name, raw, reason) => {
    expect(reasonOf(raw)).toBe(reason)
  })

  it('refuses what is nested 10,000 deep, and takes no room for it (F12)', () => {
    const deep = Buffer.from('['.repeat(500_000) + ']'.repeat(500_000))
    const before = process.memoryUsage().rss
    expect(reasonOf(deep)).toBe('it is nested deeper than 100')
    expect(reasonOf('{"a":'.repeat(10_000))).toBe('it is nested deeper than 100')
    expect(process.memoryUsage().rss - before).toBeLessThan(50 * 1024 ** 2)
    expect(read('['.repeat(100) + ']'.repeat(100)).ok).toBe(true)
  })

  it('writes what Postgres cannot hold as U+FFFD, and leaves the rest', () => {
    const answer = read('{"a":"\\u0000b\\ud83c","pair":"\\ud83c\\udf89","slash":"\\\\u0000","plain":"\\u00e9"}')
    expect(answer).toMatchObject({
      text: '{"a":"\\ufffdb\\ufffd","pair":"\\ud83c\\udf89","slash":"\\\\u0000","plain":"\\u00e9"}',
    })
  })

  it('finds the same values as JSON.parse in whatever JSON there is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value)
        const { long } = scanJson(text)
        if (long.length === 0) expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  it('keeps every digit of every whole number', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.string(), (number, key) => {
        const values = parseJson(`{${JSON.stringify(key)}:[${number}]}`) as Record<string, readonly unknown[]>
        expect(String(Object.values(values)[0]?.[0])).toBe(String(number))
      }),
    )
  })
})

describe('a list of events', () => {
  it('is taken apart without changing a character', () => {
    expect(elementTexts(' [ {"a":"],[\\"}"} , 9007199254740993,"x, y",[1,[2]],null ] ')).toEqual([
      '{"a":"],[\\"}"}',
      '9007199254740993',
      '"x, y"',
      '[1,[2]]',
      'null',
    ])
    expect(elementTexts('[]')).toEqual([])
  })

  it('has as many elements as JSON.parse finds, each the same', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (list) => {
        expect(elementTexts(JSON.stringify(list)).map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(list)))
      }),
    )
  })
})
