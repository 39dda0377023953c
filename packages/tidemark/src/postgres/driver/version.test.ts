import { describe, expect, it } from 'vitest'
import { checkedMajor } from './version.js'

describe('the version of a server', () => {
  it('may be 15 to 18', () => {
    expect([150000, 150999, 180004].map((number) => checkedMajor('x', number, 'db'))).toEqual([15, 15, 18])
  })

  it.each([
    ['14.9', 140009],
    ['19beta1', 190000],
    ['9.6.24', 90624],
  ])('may not be %s', (version, number) => {
    expect(() => checkedMajor(version, number, 'db')).toThrow(
      `Postgres at db is version ${version}; Tidemark works with 15 to 18.`,
    )
  })
})
