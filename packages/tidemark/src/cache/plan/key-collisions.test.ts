import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mayCollide, refuseCollisions } from './key-collisions.js'
import { type PartForm, parseTemplate } from './key-template.js'

const maker = (text: string, ...forms: readonly PartForm[]) => ({ name: text, template: parseTemplate(text), forms })

describe('keys of two entries', () => {
  it.each([
    [maker('items:{id}', 'text'), maker('items:total'), true],
    [maker('items:{id}', 'integer'), maker('items:total'), false],
    [maker('items:{id}', 'integer'), maker('items:7'), true],
    [maker('items:{id}', 'uuid'), maker('items:{nr}', 'integer'), false],
    [maker('items:{id}', 'uuid'), maker('items:{name}', 'text'), true],
    [maker('items:{id}', 'text'), maker('items:{id}:tags', 'text'), false],
    [maker('items:a-{id}', 'text'), maker('items:b-{id}', 'text'), false],
    [maker('items:a-{id}', 'text'), maker('items:{id}', 'text'), true],
    [maker('items:{id}.json', 'text'), maker('items:{id}.xml', 'text'), false],
    [maker('items:total'), maker('items:total'), true],
    [maker('items:total'), maker('items:sum'), false],
  ] as const)('%j and %j', (one, other, expected) => {
    expect([mayCollide(one, other), mayCollide(other, one)]).toEqual([expected, expected])
  })

  it('that were made do not collide where that was ruled out', () => {
    const pieces = fc.constantFrom('a', 'b-', '{x}', '-{x}', 'a{x}', '{x}.b', '7', '%41')
    const text = fc
      .array(pieces, { minLength: 1, maxLength: 3 })
      .map((all) => `k:${all.map((each, i) => each.replace('x', `x${i}`)).join(':')}`)
    const part = fc.oneof(fc.constantFrom('a', 'b-', '7', 'b-a', 'a7', '.b', ':', '%41', 'A', ''), fc.string({ maxLength: 4 }))
    fc.assert(
      fc.property(
        text,
        text,
        fc.array(part, { minLength: 3, maxLength: 3 }),
        fc.array(part, { minLength: 3, maxLength: 3 }),
        (one, other, p, q) => {
          const [a, b] = [maker(one), maker(other)]
          if (a.template.build(p) === b.template.build(q)) expect(mayCollide(a, b)).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('are refused by name', () => {
    expect(() => refuseCollisions([maker('a:{x}', 'text'), maker('b:{x}', 'text'), maker('a:b')])).toThrow(
      expect.objectContaining({ code: 'TM_CACHE_TEMPLATE', message: expect.stringContaining('a:{x}') }),
    )
    expect(() => refuseCollisions([maker('a:{x}', 'integer'), maker('a:b')])).not.toThrow()
  })
})
