import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { Occupancy } from './occupancy.js'
import { PresenceModel, turn } from './testing/presence-model.js'

const topics = ['a', 'b', 'c'] as const
const at = fc.nat(20)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('subscribe' as const), at, topic: fc.constantFrom(...topics) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('close' as const), at, which: at }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('open' as const), at }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kill' as const), at }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('wait' as const), at: fc.constantFrom(10, 1_100, 5_000) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

describe('who tells that a topic is occupied', () => {
  test('over nodes that come and are killed, occupied and vacated are told in turns, and the last word is true', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
        const clock = createFakeClock()
        const model = new PresenceModel(clock)
        let takeover = 0
        const run = async (step: Step): Promise<void> => {
          if (step.type === 'wait') return clock.advance(step.at)
          if (step.type === 'open') return model.alive.length < 4 ? void (await model.open()) : undefined
          const node = model.alive[step.at % model.alive.length]!
          if (step.type === 'subscribe') model.subscribe(node, step.topic)
          else if (step.type === 'close') model.close(node, step.which % Math.max(1, node.witnesses.length))
          else if (model.alive.length > 1) {
            await clock.advance(Math.max(0, takeover - clock.monotonicMs()))
            // What was told in the last moment before may be told again: here there is none.
            await clock.advance(1_100)
            await model.kill(node)
            // Its part is taken over before the next one dies: who knows neither would tell all anew.
            if (step.at % 2 === 0) await clock.advance(6_000)
            else takeover = clock.monotonicMs() + 6_000
          }
        }
        try {
          await model.open()
          await model.open()
          for (const each of steps) {
            await run(each)
            await turn()
          }
          await clock.advance(10_000)
          for (const topic of topics) {
            const told = model.told.filter((text) => text.startsWith(`${topic} `)).map((text) => text.endsWith('true'))
            expect(told).toEqual(told.map((_, index) => index % 2 === 0))
            expect(told.at(-1) ?? false).toBe(model.count(topic) > 0)
          }
        } finally {
          await model.stop()
        }
      }),
      propertyRuns(60, 3_000),
    )
  })

  test('who takes over tells the net of what happened since, and a listener that raises harms no other', () => {
    let now = 0
    const occupancy = new Occupancy({ log: silentLogger, now: () => now })
    const told: string[] = []
    occupancy.listen(() => {
      throw new Error('no')
    })
    const end = occupancy.listen((topic, occupied) => told.push(`${topic} ${occupied}`))
    occupancy.crossed('old', true)
    now = 10
    for (const occupied of [true, false]) occupancy.crossed('there and back', occupied)
    occupancy.crossed('new', true)
    occupancy.take(5)
    occupancy.crossed('later', true)
    expect(told).toEqual(['new true', 'later true'])
    occupancy.leave()
    occupancy.crossed('not mine', true)
    occupancy.forget(11)
    occupancy.take(0)
    end()
    occupancy.crossed('unheard', true)
    expect(told).toHaveLength(2)
  })
})
