import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { closest } from './closest.js'

describe('closest', () => {
  const known = ['server.port', 'server.host', 'stateDir']

  it('finds a word with a letter too many, too few, wrong or swapped', () => {
    for (const typo of ['server.porrt', 'server.prt', 'server.pott', 'server.prot', 'SERVER.PORT']) {
      expect(closest(typo, known)).toBe('server.port')
    }
  })

  it('does not guess', () => {
    expect(closest('zebra', known)).toBeUndefined()
    expect(closest('', known)).toBeUndefined()
  })

  it('finds any word that it knows', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, selector: (word) => word.toLowerCase() }),
        (words) => {
          for (const word of words) expect(closest(word, words)).toBe(word)
        },
      ),
    )
  })
})
