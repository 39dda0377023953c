import { describe, expect, test } from 'vitest'
import { until } from '../../../time/until.js'
import { BoundedQueue } from './bounded-queue.js'

describe('a bounded queue', () => {
  test('holds the giver up while it is full, and gives in order', async () => {
    const queue = new BoundedQueue<number>(3)
    let given = 0
    const giving = (async () => {
      for (let i = 1; i <= 10; i++) {
        await queue.push(i, 1)
        given = i
      }
      queue.end()
    })()
    await until(() => given === 3)
    expect(given).toBe(3)
    const taken: number[] = []
    for await (const item of queue.items()) taken.push(item)
    await giving
    expect(taken).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('gives what it holds before it ends, and raises what it ended with', async () => {
    const queue = new BoundedQueue<string>(10)
    await queue.push('a', 1)
    queue.end(new Error('over'))
    await queue.push('late', 1)
    expect(await queue.takeAll()).toEqual(['a'])
    await expect(queue.takeAll()).rejects.toThrow('over')
    const empty = new BoundedQueue<string>(10)
    empty.end()
    expect(await empty.takeAll()).toEqual([])
  })

  test('lets a giver go that waits when it ends', async () => {
    const queue = new BoundedQueue<number>(0)
    const waiting = queue.push(1, 1)
    queue.end()
    await waiting
  })
})
