import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { createAbsentRedis } from '../../redis/absent-redis.js'
import type { PresenceDiff, TopicListener, TopicMessage } from '../realtime.js'
import { openTopics } from './open-topics.js'

const open = () => openTopics({ redis: createAbsentRedis(), prefix: 'test', log: silentLogger, metrics: createMetrics() })

interface Heard extends TopicListener {
  readonly messages: TopicMessage[]
  readonly diffs: PresenceDiff[]
}

const listener = (id: string): Heard => {
  const messages: TopicMessage[] = []
  const diffs: PresenceDiff[] = []
  return { id, messages, diffs, message: (message) => messages.push(message), presence: (diff) => diffs.push(diff) }
}

const bodies = ({ messages }: Heard) => messages.map(({ body }) => body.toString())

describe('topics within one process', () => {
  test('a message reaches everybody who listens to its topic, the sender apart, as one object and in order', async () => {
    const topics = await open()
    const [a, b, c, elsewhere] = [listener('a'), listener('b'), listener('c'), listener('d')]
    for (const each of [a, b, c]) topics.subscribe('room', each)
    topics.subscribe('other', elsewhere)
    await topics.publish({ topic: 'room', body: Buffer.from('1'), except: 'b' })
    await topics.publish({ topic: 'room', body: Buffer.from('2') })
    expect(bodies(a)).toEqual(['1', '2'])
    expect(bodies(b)).toEqual(['2'])
    expect(a.messages[1]).toBe(c.messages[1])
    expect(elsewhere.messages).toEqual([])
  })

  test('who leaves while a message is told, or comes, hears nothing of it, and nobody else misses it', async () => {
    const topics = await open()
    const [b, c, late] = [listener('b'), listener('c'), listener('late')]
    const first = topics.subscribe('room', {
      id: 'a',
      message: () => {
        first.close()
        second.close()
        topics.subscribe('room', late)
      },
    })
    const second = topics.subscribe('room', b)
    topics.subscribe('room', c)
    await topics.publish({ topic: 'room', body: Buffer.from('x') })
    expect([bodies(b), bodies(c), bodies(late)]).toEqual([[], ['x'], []])
    expect(await topics.count('room')).toBe(2)
  })

  test('a listener that raises harms no other', async () => {
    const topics = await open()
    const b = listener('b')
    topics.subscribe('room', {
      id: 'a',
      message: () => {
        throw new Error('no')
      },
    })
    topics.subscribe('room', b)
    await topics.publish({ topic: 'room', body: Buffer.from('x') })
    expect(bodies(b)).toEqual(['x'])
  })

  test('presence: a key is present until its last appearance leaves, and an update leaves and joins in one', async () => {
    const topics = await open()
    const [a, b, watcher] = [listener('a'), listener('b'), listener('w')]
    const watching = topics.subscribe('room', watcher)
    const [one, two] = [topics.subscribe('room', a), topics.subscribe('room', b)]
    const first = await one.track('ann', { at: 1 })
    const second = await two.track('ann', { at: 2 })
    expect(first).not.toBe(second)
    expect([...watching.presence()]).toEqual([
      [
        'ann',
        [
          { ref: first, payload: { at: 1 } },
          { ref: second, payload: { at: 2 } },
        ],
      ],
    ])
    const third = await one.track('ann', { at: 3 })
    expect(watcher.diffs.at(-1)).toEqual({
      joins: new Map([['ann', [{ ref: third, payload: { at: 3 } }]]]),
      leaves: new Map([['ann', [{ ref: first, payload: { at: 1 } }]]]),
    })
    one.close()
    one.close()
    expect([...watching.presence().keys()]).toEqual(['ann'])
    await two.untrack()
    await two.untrack()
    expect(watching.presence().size).toBe(0)
    expect(watcher.diffs).toHaveLength(5)
    await one.track('ann', {})
    expect(watching.presence().size).toBe(0)
  })

  test('the first listener and the last one are told, and how many listen by the beginning of a name', async () => {
    const topics = await open()
    const told: string[] = []
    const end = topics.onOccupancy((topic, occupied) => told.push(`${topic} ${occupied}`))
    const [one, two] = [topics.subscribe('p:room', listener('a')), topics.subscribe('p:room', listener('b'))]
    topics.subscribe('s:room', listener('c'))
    expect(await topics.occupied('p:')).toEqual(new Map([['p:room', 2]]))
    one.close()
    two.close()
    expect(told).toEqual(['p:room true', 's:room true', 'p:room false'])
    end()
    topics.subscribe('p:room', listener('a'))
    expect(told).toHaveLength(3)
  })
})
