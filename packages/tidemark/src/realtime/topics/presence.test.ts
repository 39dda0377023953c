import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { PresenceModel, turn } from './testing/presence-model.js'

const cleanups = useCleanups()

const open = (): { model: PresenceModel; advance(ms: number): Promise<void> } => {
  const clock = createFakeClock()
  const model = new PresenceModel(clock)
  cleanups.push(() => model.stop())
  return { model, advance: (ms) => clock.advance(ms) }
}

const topics = ['a', 'b'] as const
const at = fc.nat(20)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('subscribe' as const), at, topic: fc.constantFrom(...topics) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('close' as const), at, which: at }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('track' as const), at, which: at, key: fc.constantFrom('x', 'y', 'z') }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('untrack' as const), at, which: at }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('open' as const), at }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kill' as const), at }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cut' as const), at, seen: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('heal' as const), at }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('hold' as const), at }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('release' as const), at }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('advance' as const), at: fc.constantFrom(10, 700, 700, 1_500, 4_000, 31_000) }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const run = async (model: PresenceModel, advance: (ms: number) => Promise<void>, step: Step): Promise<void> => {
  if (step.type === 'advance') return advance(step.at)
  if (step.type === 'open') return model.nodes.length < 5 ? void (await model.open()) : undefined
  const node = model.alive[step.at % model.alive.length]
  if (node === undefined) return
  const witness = 'which' in step ? node.witnesses[step.which % node.witnesses.length] : undefined
  if (step.type === 'subscribe') model.subscribe(node, step.topic)
  else if (step.type === 'close') model.close(node, step.which % Math.max(1, node.witnesses.length))
  else if (step.type === 'track') await witness?.subscription.track(step.key, { at: step.at })
  else if (step.type === 'untrack') await witness?.subscription.untrack()
  else if (step.type === 'kill') await model.kill(node)
  else if (step.type === 'cut') node.line.cut(step.seen)
  else node.line[step.type]()
}

/** By topic: every appearance that the living nodes hold themselves. */
const truth = (model: PresenceModel, topic: string): Map<string, string> => {
  const all = new Map<string, string>()
  for (const { node, witnesses } of model.alive) {
    const one = witnesses.find((witness) => witness.topic === topic)
    if (!one) continue
    const own = node.ownPresence(topic)
    for (const [key, metas] of own) for (const { ref, payload } of metas) all.set(ref, `${key} ${JSON.stringify(payload)}`)
  }
  return all
}

describe('presence over several nodes', () => {
  test('every view comes to the truth, and what was told adds up to it, whatever lines and nodes fail', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const { model, advance } = open()
        try {
          await model.open()
          await model.open()
          for (const each of steps) {
            await run(model, advance, each)
            await turn()
          }
          for (const { line } of model.alive) {
            line.heal()
            line.release()
          }
          await advance(10_000)
          for (const { node, witnesses } of model.alive) {
            for (const topic of topics) expect(await node.count(topic)).toBe(model.count(topic))
            for (const witness of witnesses) {
              const [told, said] = witness.views()
              expect(witness.faults).toEqual([])
              expect(new Map([...told].sort())).toEqual(new Map([...truth(model, witness.topic)].sort()))
              expect(new Map([...said].sort())).toEqual(new Map([...told].sort()))
            }
          }
        } finally {
          await model.stop()
        }
      }),
      propertyRuns(60, 2_000),
    )
  })

  test('who was present through a node that is killed leaves once, within five seconds', async () => {
    const { model, advance } = open()
    const [one, two] = [await model.open(), await model.open()]
    const watcher = model.subscribe(one, 'room')
    await model.subscribe(two, 'room').subscription.track('ann', {})
    await advance(1_000)
    expect(watcher.views()[1].size).toBe(1)
    await model.kill(two)
    await advance(5_000)
    expect(watcher.views()[1].size).toBe(0)
    expect(watcher.faults).toEqual([])
  })

  test('a node that starts later knows who is there, and is told nothing twice', async () => {
    const { model, advance } = open()
    const one = await model.open()
    const room = (count: number) => `room ${count % 40}`
    const payload = { text: 'x'.repeat(1_000) }
    for (let count = 0; count < 400; count++) await model.subscribe(one, room(count)).subscription.track(`k${count}`, payload)
    await advance(1_000)
    const two = await model.open()
    const watchers = Array.from({ length: 40 }, (_, count) => model.subscribe(two, room(count)))
    await advance(2_000)
    for (const watcher of watchers) {
      expect(watcher.views()[0].size).toBe(10)
      expect(watcher.faults).toEqual([])
    }
    expect(await two.node.count('room 0')).toBe(11)
  })

  test('after a hole only what differs is told: who stayed has not come again', async () => {
    const { model, advance } = open()
    const [one, two] = [await model.open(), await model.open()]
    const watcher = model.subscribe(one, 'room')
    const [stays, leaves] = [model.subscribe(two, 'room'), model.subscribe(two, 'room')]
    await stays.subscription.track('stays', {})
    await leaves.subscription.track('leaves', {})
    await advance(3_000)
    one.line.cut(false)
    await leaves.subscription.untrack()
    await model.subscribe(two, 'room').subscription.track('comes', {})
    await turn()
    one.line.heal()
    await advance(2_000)
    expect(watcher.faults).toEqual([])
    expect([...watcher.views()[0].values()].map((what) => what.split(' ')[0]).sort()).toEqual(['comes', 'stays'])
    expect(watcher.told).toBe(4)
  })

  test('messages of one sender come in order on all nodes, and a hole is told as a gap', async () => {
    const { model, advance } = open()
    const [one, two] = [await model.open(), await model.open()]
    const [here, there] = [model.subscribe(one, 'room'), model.subscribe(two, 'room')]
    await advance(3_000)
    const send = (text: string) => one.node.publish({ topic: 'room', body: Buffer.from(text), except: here.id })
    await Promise.all([send('1'), send('2'), send('3')])
    await turn()
    expect(there.messages).toEqual(['1', '2', '3'])
    expect(here.messages).toEqual([])
    two.line.cut(false)
    await send('4')
    await turn()
    two.line.heal()
    expect(there.gaps).toBe(0)
    await advance(2_000)
    expect(there.messages).toEqual(['1', '2', '3'])
    expect(there.gaps).toBe(1)
    expect(here.gaps).toBe(0)
  })

  test('a node whose line is known to be down goes on alone, says so, and tells a gap when it is back', async () => {
    const { model, advance } = open()
    const [one, two] = [await model.open(), await model.open()]
    const [here, there] = [model.subscribe(one, 'room'), model.subscribe(two, 'room')]
    await advance(3_000)
    one.line.cut(true)
    expect(one.node.reach().reach).toBe('alone')
    await one.node.publish({ topic: 'room', body: Buffer.from('within') })
    expect(here.messages).toEqual(['within'])
    one.line.heal()
    await advance(2_000)
    two.line.hold()
    await advance(3_000)
    expect(two.node.reach()).toMatchObject({ reach: 'alone' })
    two.line.release()
    expect(one.node.reach()).toMatchObject({ reach: 'nodes', others: 1 })
    expect([here.gaps > 0, there.gaps > 0]).toEqual([true, true])
    expect(there.messages).toEqual([])
  })

  test('that a topic is occupied or vacated is told once over all nodes, also by who takes over from a node that was killed', async () => {
    const { model, advance } = open()
    const first = await model.open()
    const early = model.subscribe(first, 'early')
    await advance(3_000)
    expect(model.told).toEqual(['early true'])
    const [second, third] = [await model.open(), await model.open()]
    await advance(3_000)
    model.subscribe(second, 'room')
    model.subscribe(third, 'room')
    await turn()
    expect(model.told).toEqual(['early true', 'room true'])
    model.close(second, 0)
    early.subscription.close()
    await turn()
    expect(model.told).toEqual(['early true', 'room true', 'early false'])
    await model.kill(first)
    await advance(10)
    model.close(third, 0)
    model.subscribe(second, 'late')
    await advance(6_000)
    expect(model.told.slice(3).sort()).toEqual(['late true', 'room false'])
    await model.kill(second)
    await advance(6_000)
    expect(model.told.slice(5)).toEqual(['late false'])
  })
})
