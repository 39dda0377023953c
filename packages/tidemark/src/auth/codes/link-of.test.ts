import { describe, expect, test } from 'vitest'
import { linkOf } from './link-of.js'

const parts = { externalUrl: 'https://api.example.com', token: 'a+b', type: 'signup' }

describe('a link', () => {
  test('shows a plain address as it is', () => {
    const link = linkOf({ ...parts, redirectTo: 'http://localhost:3000/welcome' })
    expect(link).toBe('https://api.example.com/auth/v1/verify?token=a%2Bb&type=signup&redirect_to=http://localhost:3000/welcome')
  })

  test.each([
    'https://app.example.com/welcome?a=1&type=invite#b',
    'https://app.example.com/#type=recovery',
    'https://app.example.com/a%26b',
    'https://app.example.com/a+b',
    'https://app.example.com/"><script>',
    'https://app.example.com/日本',
    'myapp://callback',
  ])('leads back to %s, and to nothing else', (redirectTo) => {
    const link = linkOf({ ...parts, redirectTo })
    expect([...new URL(link).searchParams]).toEqual([
      ['token', 'a+b'],
      ['type', 'signup'],
      ['redirect_to', redirectTo],
    ])
    expect(link).not.toMatch(/[<>"#]/)
  })
})
