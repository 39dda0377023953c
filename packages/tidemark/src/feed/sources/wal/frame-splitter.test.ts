import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wireMessage } from '../../../testing/feed/pgoutput-frames.js'
import { FrameSplitter } from './frame-splitter.js'

const split = (chunks: readonly Buffer[]): [number, string][] => {
  const found: [number, Buffer][] = []
  const splitter = new FrameSplitter((kind, body) => found.push([kind, body]))
  for (const chunk of chunks) splitter.push(chunk)
  // Read at the end: what was given must not have been written over since.
  return found.map(([kind, body]) => [kind, body.toString('hex')])
}

describe('the splitter of messages', () => {
  it('gives the same messages however the bytes are cut, and never writes over one', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 })
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(20), { minLength: 1 }), (messages, sizes) => {
        const bytes = Buffer.concat(messages.map((body) => wireMessage('d', Buffer.from(body))))
        const chunks: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = (sizes[turn % sizes.length] ?? 0) + 1
          chunks.push(Buffer.from(bytes.subarray(at, at + size)))
          at += size
        }
        expect(split(chunks)).toEqual(messages.map((body) => [0x64, Buffer.from(body).toString('hex')]))
      }),
    )
  })

  it('takes a message of many chunks without putting them together again and again', () => {
    const chunks: Buffer[] = []
    const whole = wireMessage('d', Buffer.alloc(20 * 1024 * 1024, 'x'))
    for (let at = 0; at < whole.length; at += 1024) chunks.push(whole.subarray(at, at + 1024))
    const startedAt = performance.now()
    const lengths: number[] = []
    const splitter = new FrameSplitter((_kind, body) => lengths.push(body.length))
    for (const chunk of chunks) splitter.push(chunk)
    expect(lengths).toEqual([20 * 1024 * 1024])
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })

  it.each([0, 3, 0xffffffff])('refuses the length %d', (length) => {
    const bytes = Buffer.from([0x64, 0, 0, 0, 0, 0])
    bytes.writeUInt32BE(length, 1)
    expect(() => split([bytes])).toThrowError(expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }))
  })
})
