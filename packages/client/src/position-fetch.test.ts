import { describe, expect, test } from 'vitest'
import { laterOf, reaches } from './position.js'
import { createPositionFetch } from './position-fetch.js'

describe('positions', () => {
  test('are ordered within a history, and not between two', () => {
    expect([reaches('wal-1:100', 'wal-1:ff'), reaches('wal-1:ff', 'wal-1:100'), reaches('wal-1:ff', 'wal-1:ff:3a')]).toEqual([
      true,
      false,
      true,
    ])
    expect([reaches('wal-2:1', 'wal-1:1'), reaches('wal-1:1', 'wal-2:1')]).toEqual([false, false])
    expect([laterOf('wal-1:9', 'wal-1:a'), laterOf('wal-1:a', 'wal-1:9'), laterOf('wal-1:a', 'wal-2:1')]).toEqual([
      'wal-1:a',
      'wal-1:a',
      'wal-2:1',
    ])
    expect([laterOf(undefined, 'wal-1:1'), laterOf('wal-1:1', undefined), laterOf(undefined, undefined)]).toEqual([
      'wal-1:1',
      'wal-1:1',
      undefined,
    ])
  })
})

describe('CACHE-5: the position of the last write', () => {
  /** A server that answers with these positions, one after the other. */
  const open = (...answers: readonly (string | undefined)[]) => {
    const asked: (string | null)[] = []
    const inner: typeof fetch = async (_input, init) => {
      asked.push(new Headers(init?.headers).get('tidemark-position'))
      const position = answers[asked.length - 1]
      return new Response('', { headers: position === undefined ? {} : { 'tidemark-position': position } })
    }
    return { asked, ...createPositionFetch('http://here/', inner) }
  }

  test('goes with every request that comes after it, and only grows', async () => {
    const { fetch, asked } = open('wal-1:5', 'wal-1:10', 'wal-1:8', undefined)
    await fetch('http://here/rest/v1/notes')
    await fetch('http://here/rest/v1/notes', { method: 'post' })
    await fetch('http://here/rest/v1/notes', { method: 'PATCH' })
    await fetch(new URL('http://here/chats'), { headers: { accept: 'a/b' } })
    await fetch(new Request('http://here/chats'))
    expect(asked).toEqual([null, 'wal-1:5', 'wal-1:10', 'wal-1:10', 'wal-1:10'])
  })

  test('is nobody else’s business, and whoever names one is left alone', async () => {
    const { fetch, asked } = open('wal-1:5', undefined, undefined)
    await fetch('http://here/a', { method: 'POST' })
    await fetch('http://elsewhere/a')
    await fetch('http://here/a', { headers: { 'Tidemark-Position': 'wal-1:1' } })
    expect(asked).toEqual([null, null, 'wal-1:1'])
  })

  test('an answer is found by the signal of its request', async () => {
    const { fetch, positionOf } = open('wal-1:5', 'wal-1:6')
    const [one, two] = [new AbortController(), new AbortController()]
    await fetch('http://here/a', { signal: one.signal })
    await fetch('http://here/a', { signal: two.signal })
    expect([positionOf(one.signal), positionOf(two.signal)]).toEqual(['wal-1:5', 'wal-1:6'])
  })
})
