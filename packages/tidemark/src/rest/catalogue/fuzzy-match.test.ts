import { describe, expect, it } from 'vitest'
import { fuzzyMatches } from './fuzzy-match.js'

const names = (word: string, known: readonly string[], minScore?: number) =>
  fuzzyMatches(word, known, minScore).map(({ name }) => name)

describe('names that resemble a word', () => {
  it('are those that PostgREST would suggest', () => {
    expect(names('film', ['films', 'directors', 'roles'])).toEqual(['films'])
    expect(names('role', ['directors', 'roles', 'actors'])).toEqual(['roles'])
    expect(names('noclosealternative', ['directors', 'roles', 'actors'])).toEqual([])
    expect(names('testt', ['test', 'another'], 0.75)).toEqual(['test'])
    expect(names('other', ['test', 'another'], 0.75)).toEqual([])
    const signatures = ['(name, param, val)', '(attr, id)']
    expect(names('(nam, pqaram, vall)', signatures)).toEqual(['(name, param, val)'])
    expect(names('(param, val)', signatures)).toEqual(['(name, param, val)'])
    expect(names('(attrs, id)', signatures)).toEqual(['(attr, id)'])
    expect(names('(id)', signatures)).toEqual(['(attr, id)'])
    expect(names('(noclosealternative)', signatures)).toEqual([])
  })

  it('are ranked by the letters to change', () => {
    const [first, ...others] = fuzzyMatches('Transylvania', ['Pennsylvania', 'California', 'Arkansas', 'Kansas', 'Texas'])
    expect(first).toEqual({ name: 'Pennsylvania', score: 0.75 })
    for (const { score } of others) expect(score).toBeCloseTo(1 / 3)
  })

  it('are the word alone where it is known but for its case', () => {
    expect(fuzzyMatches('FILMS', ['films', 'film'])).toEqual([{ name: 'films', score: 1 }])
  })

  it('are none for a word that is no typing mistake, and not looked for at length', () => {
    expect(names('x'.repeat(100_000), ['x'.repeat(63)])).toEqual([])
    expect(names('', ['a'])).toEqual([])
    expect(names('a', [])).toEqual([])
    expect(names('日本', ['日本語'], 0.5)).toEqual(['日本語'])
  })
})
