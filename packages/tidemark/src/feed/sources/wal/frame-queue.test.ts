import { describe, expect, it } from 'vitest'
import { keepalive, walData } from '../../../testing/feed/pgoutput-frames.js'
import { FrameQueue } from './frame-queue.js'

const data = (bytes: number) => walData(Buffer.alloc(bytes, 'x'))

const queueOf = (maxBytes: number) => {
  const calls: string[] = []
  const queue = new FrameQueue({ maxBytes, pause: () => calls.push('pause'), resume: () => calls.push('resume') })
  return { queue, calls }
}

describe('the queue of frames', () => {
  it('stops the flow when it is full, and lets it on at half', () => {
    const { queue, calls } = queueOf(10_000)
    let pushed = 0
    while (!queue.paused) {
      queue.push(data(875))
      pushed += 1
    }
    expect(pushed).toBe(10)
    expect(calls).toEqual(['pause'])
    for (let taken = 0; taken < 4; taken++) queue.shift()
    expect(calls).toEqual(['pause'])
    queue.shift()
    expect(calls).toEqual(['pause', 'resume'])
    expect(queue.bytes).toBe(5_000)
  })

  it('gives frames in their order, over any number of them', () => {
    const { queue } = queueOf(Infinity)
    for (let index = 0; index < 10_000; index++) queue.push(Buffer.from([index & 0x3f, index >> 6]))
    for (let index = 0; index < 10_000; index++) {
      expect(queue.peek()).toEqual(Buffer.from([index & 0x3f, (index >> 6) & 0xff]))
      queue.shift()
    }
    expect(queue.peek()).toBeUndefined()
    expect(queue.bytes).toBe(0)
    queue.shift()
    expect(queue.bytes).toBe(0)
  })

  it('keeps only the last of keepalives in a row', () => {
    const { queue } = queueOf(Infinity)
    queue.push(keepalive(1n))
    queue.push(keepalive(2n))
    queue.push(data(1))
    queue.push(keepalive(3n))
    const seen: Buffer[] = []
    for (let frame = queue.peek(); frame; frame = queue.peek()) {
      seen.push(frame)
      queue.shift()
    }
    expect(seen).toEqual([keepalive(2n), data(1), keepalive(3n)])
  })

  it('wakes whoever waits, and raises its failure once it is empty', async () => {
    const { queue } = queueOf(Infinity)
    const waiting = queue.more()
    queue.push(data(1))
    await waiting
    queue.fail(new Error('lost'))
    queue.fail(new Error('later'))
    expect(queue.peek()).toBeDefined()
    queue.shift()
    await expect(queue.more()).rejects.toThrow('lost')
    const other = queueOf(Infinity).queue
    const ended = other.more()
    other.fail(new Error('gone'))
    await expect(ended).rejects.toThrow('gone')
  })
})
