import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KeyPart } from '../cache.js'
import { parseTemplate, writePart } from './key-template.js'
import { createKeyFinder } from './parse-key.js'

const entry = (text: string, forms: readonly ('text' | 'integer')[] = [], prefix = '') => {
  const template = parseTemplate(text)
  return {
    definition: { template: text },
    names: template.names,
    key: (params: Readonly<Record<string, KeyPart>>) =>
      prefix + template.build(template.names.map((name, i) => writePart(text, name, params[name], forms[i] ?? 'text'))),
  }
}

const paramsOf = (found: { readonly params: unknown } | undefined) => found?.params

describe('the way back from a key', () => {
  it('leads to the params it was made of, whatever they hold', () => {
    const item = entry('x.y:{a}:{b}(z):{c}', [], 'dev:')
    const find = createKeyFinder([item], 'dev:')
    const part = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !/\0|\p{Surrogate}/u.test(text))
    fc.assert(
      fc.property(part, part, part, (a, b, c) => {
        expect(paramsOf(find(item.key({ a, b, c })))).toEqual({ a, b, c })
      }),
      {
        examples: [
          ['a:b', '%', 'b(z)'],
          ['', ' \n', '{}'],
        ],
      },
    )
  })

  it('leads nowhere for the keys of others', () => {
    const find = createKeyFinder([entry('item:{id}', ['integer']), entry('items:total')], 'p:')
    for (const key of ['item:1', 'p:item:x', 'p:item:1:2', 'p:{item:1}:fence', 'p:item:%', 'p:items:total:x', 'p:item:01'])
      expect([key, find(key)]).toEqual([key, undefined])
  })

  it('prefers the entry that says more of the key', () => {
    const [total, any] = [entry('items:total'), entry('items:{id}')]
    const find = createKeyFinder([any, total], '')
    expect(find('items:total')?.entry).toBe(total)
    expect(find('items:7')?.entry).toBe(any)
  })
})
