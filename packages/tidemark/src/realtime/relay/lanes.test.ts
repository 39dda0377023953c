import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planLanes } from './lanes.js'
import type { RelayMessage } from './relay.js'

const messages = fc
  .array(fc.integer({ min: 0, max: 12 }), { maxLength: 120 })
  .map((channels): RelayMessage[] => channels.map((c, i) => ({ channel: `c${c}`, event: 'e', data: {}, id: String(i) })))

describe('R60: related events go together', () => {
  it('holds every message once, those of one channel in one lane and in their order, in batches that are not too large', () => {
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 12 }), (all, most, maxBatch) => {
        const lanes = planLanes(all, most, maxBatch)
        expect(lanes.length).toBeLessThanOrEqual(most)
        const flat = lanes.map((lane) => lane.flat())
        expect(flat.flat().length).toBe(all.length)
        for (const lane of lanes) for (const batch of lane) expect(batch.length <= maxBatch && batch.length > 0).toBe(true)
        for (const channel of new Set(all.map((message) => message.channel))) {
          const holding = flat.filter((lane) => lane.some((message) => message.channel === channel))
          expect(holding).toHaveLength(1)
          const ids = holding[0]!.filter((message) => message.channel === channel).map(({ id }) => Number(id))
          expect(ids).toEqual([...ids].sort((a, b) => a - b))
        }
      }),
    )
  })

  it('fills a batch before it begins another', () => {
    const ten = Array.from({ length: 10 }, (_, i): RelayMessage => ({ channel: `c${i}`, event: 'e', data: {}, id: '1' }))
    expect(planLanes(ten, 4, 10)).toHaveLength(1)
    expect(planLanes([...ten, { channel: 'c11', event: 'e', data: {}, id: '1' }], 4, 10)).toHaveLength(2)
  })
})
