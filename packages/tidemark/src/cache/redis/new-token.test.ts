import { expect, it } from 'vitest'
import { idLength } from './frame.js'
import { newToken } from './new-token.js'

it('tokens have the length of an id, and none comes twice', () => {
  const tokens = Array.from({ length: 5000 }, newToken)
  expect(tokens.every((token) => /^[\w-]+$/.test(token) && token.length === idLength)).toBe(true)
  expect(new Set(tokens).size).toBe(tokens.length)
})
