import { describe, expect, it } from 'vitest'
import { holdersOf } from './holders.ts'
import { type Group, groups, requirementProblems } from './requirements.ts'
import { pageOf } from './requirements-page.ts'

const asked: readonly Group[] = [
  { title: 'Caches', entries: { R1: { says: 'First.', code: ['a'] }, R2: { says: 'Second.', code: ['b'], note: 'Not built.' } } },
  { title: 'Mistakes', entries: { C1: { says: 'Third.', code: ['a'] } } },
  { title: 'Always', entries: { 'RT-1': { says: 'Fourth.', code: ['a'] } } },
]

const source = `
describe('R1, RT-1: a group', () => {
  it('says nothing of AR2 or R2-D2', () => {})
  it.skipIf(false)('C1: a test', () => {
    // @holds R2
  })
  it.each([1])(\`C1: \${1} of many\`, () => {})
  it.skip('R2: never runs', () => {})
  describe.todo('R2: neither', () => { it('R2: nor this', () => {}) })
})
const text = "it('R2: is only a text', () => {})"
it(named('R2'), () => {})
`

describe('the names of tests', () => {
  it('say what their tests and groups hold, where those run', () => {
    const held = holdersOf([['x.test.ts', source]])
    const names = [...held].map(([id, all]) => [id, all.map(({ name }) => name)])
    expect(Object.fromEntries(names)).toEqual({
      R1: ['R1, RT-1: a group'],
      'RT-1': ['R1, RT-1: a group'],
      R2: ['C1: a test'],
      C1: ['C1: a test', 'C1: … of many'],
    })
  })

  it('are none in a program, which marks what it holds', () => {
    const held = holdersOf([['bench/one.ts', '/** A run. @holds R1, C1 */\nconst a: number = 1']])
    expect([...held]).toEqual([
      ['R1', [{ path: 'bench/one.ts' }]],
      ['C1', [{ path: 'bench/one.ts' }]],
    ])
  })

  it('lead nowhere in a file that cannot be parsed, which is said', () => {
    expect(() => holdersOf([['y.test.ts', 'it(']])).toThrow('y.test.ts cannot be parsed')
  })
})

describe('the page of requirements', () => {
  it('names who holds what, and what nobody does', () => {
    const page = pageOf(asked, holdersOf([['packages/x.test.ts', "it('R1: is | [kept] <b>', () => {})"]]))
    expect(page).toContain('1 of 2 are held by a test that names them. Held by nobody yet: R2.')
    expect(page).toContain('| R1 | First. | [a](../a) | R1: is \\| \\[kept\\] &lt;b> ([x.test.ts](../packages/x.test.ts)) |')
    expect(page).toContain('| R2 | Second. | [b](../b) | **held by nobody yet**<br>Not built. |')
    expect(page).toContain('0 of 1 are held by a test that names them. Held by nobody yet: RT-1.')
  })

  it('shows a test of each file before a second one of any, and counts the rest', () => {
    const of = (path: string, ...names: string[]) =>
      [path, names.map((name) => `it('R1: ${name}', () => {})`).join('\n')] as const
    const page = pageOf(asked, holdersOf([of('a.test.ts', 'one', 'two', 'three'), of('b.test.ts', 'four')]))
    expect(page).toMatch(/R1: one .*R1: four .*R1: two .*and 1 more/)
  })
})

describe('the list of requirements', () => {
  it('is refused where it names a place that is not there, and where a test names a number that it lacks', () => {
    const held = holdersOf([['x.test.ts', "it('R1, R3: is kept', () => {})"]])
    expect(requirementProblems(asked, held, (path) => path === 'a')).toEqual([
      'requirements.json: R2 names b, which is not there.',
      'x.test.ts: R3 is not among the requirements.',
    ])
  })

  it('has every number once, in order, and each in one sentence', () => {
    const ids = groups.flatMap(({ entries }) => Object.keys(entries))
    const upTo = (letter: string, last: number) => Array.from({ length: last }, (_, index) => `${letter}${index + 1}`)
    expect(ids.filter((id) => /^[RC]\d/.test(id))).toEqual([...upTo('R', 140), ...upTo('C', 77)])
    expect(new Set(ids).size).toBe(ids.length)
    for (const { says } of groups.flatMap(({ entries }) => Object.values(entries))) expect(says).toMatch(/^[A-Z`].*\.$/)
  })
})
