import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { pusherWebhookEvents } from '../../../config/options/pusher-options.js'
import { createMetrics } from '../../../observability/metrics.js'
import { silentLogger } from '../../../observability/observability.js'
import { createFakeClock } from '../../../testing/fake-clock.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { createWebhooks, type PusherWebhooksOptions } from './webhooks.js'

const cleanups = useCleanups()
const app = { id: '1', key: 'k', secret: 's' }

interface Post {
  readonly headers: Record<string, string>
  readonly events: readonly Record<string, unknown>[]
}

const open = (options: Partial<PusherWebhooksOptions> = {}, statuses: number[] = []) => {
  const [clock, metrics] = [createFakeClock(), createMetrics()]
  const posts: Post[] = []
  const send = (async (_url: string, init: { body: string; headers: Record<string, string> }) => {
    const { body, headers } = init
    expect(headers['x-pusher-signature']).toBe(createHmac('sha256', app.secret).update(body).digest('hex'))
    posts.push({ headers, events: JSON.parse(body).events })
    return new Response(null, { status: statuses.shift() ?? 200 })
  }) as unknown as typeof fetch
  const webhooks = createWebhooks({
    app,
    urls: ['http://localhost/hook'],
    events: pusherWebhookEvents,
    clock,
    log: silentLogger,
    metrics,
    fetch: send,
    ...options,
  })
  cleanups.push(() => webhooks.stop())
  const names = () => posts.flatMap(({ events }) => events.map(({ name, channel }) => `${name} ${channel}`))
  return { webhooks, clock, metrics, posts, names }
}

describe("Pusher's webhooks", () => {
  test('what happens together goes out together, signed', async () => {
    const { webhooks, clock, posts } = open()
    webhooks.occupied('a', true)
    webhooks.present('presence-a', 'ann', true)
    webhooks.clientEvent({ channel: 'private-a', event: 'client-x', data: { n: 1 }, socketId: '1.2', userId: 'ann' })
    webhooks.missed('cache-a')
    webhooks.counted('a', 3)
    await clock.advance(100)
    expect(posts).toHaveLength(1)
    expect(posts[0]?.headers['x-pusher-key']).toBe('k')
    expect(posts[0]?.events).toEqual([
      { name: 'channel_occupied', channel: 'a' },
      { name: 'member_added', channel: 'presence-a', user_id: 'ann' },
      { name: 'client_event', channel: 'private-a', event: 'client-x', data: '{"n":1}', socket_id: '1.2', user_id: 'ann' },
      { name: 'cache_miss', channel: 'cache-a' },
      { name: 'subscription_count', channel: 'a', subscription_count: 3 },
    ])
  })

  test('who is back within three seconds has not left', async () => {
    const { webhooks, clock, names } = open()
    webhooks.occupied('a', true)
    webhooks.present('presence-b', 'ann', true)
    await clock.advance(100)
    webhooks.occupied('a', false)
    webhooks.present('presence-b', 'ann', false)
    await clock.advance(2_900)
    webhooks.occupied('a', true)
    await clock.advance(5_000)
    expect(names()).toEqual(['channel_occupied a', 'member_added presence-b', 'member_removed presence-b'])
    webhooks.occupied('a', false)
    await clock.advance(3_200)
    expect(names().at(-1)).toBe('channel_vacated a')
  })

  test('what is not taken is sent again, in order and for five minutes; what is given up is counted', async () => {
    const { webhooks, clock, names, metrics } = open({}, [500, 302, 200, ...Array.from({ length: 40 }, () => 500)])
    webhooks.missed('cache-a')
    await clock.advance(60)
    webhooks.missed('cache-b')
    await clock.advance(10_000)
    expect(names().slice(0, 4)).toEqual(['cache_miss cache-a', 'cache_miss cache-a', 'cache_miss cache-a', 'cache_miss cache-b'])
    await clock.advance(400_000)
    expect(await metrics.render()).toContain('tidemark_pusher_webhook_dropped_total{why="refused"} 1')
    expect(await metrics.render()).toContain('tidemark_pusher_webhook_events_total 1')
    expect(await metrics.render()).toContain('tidemark_pusher_webhook_waiting_entries 0')
  })

  test('what waits is bounded, the oldest goes first', async () => {
    const { webhooks, metrics } = open()
    for (let count = 0; count < 10_010; count++) webhooks.missed(`cache-${count}`)
    expect(await metrics.render()).toContain('tidemark_pusher_webhook_dropped_total{why="full"} 10')
  })

  test('who left and was waited for is told of when the server stops, and nothing after', async () => {
    const { webhooks, clock, names } = open()
    webhooks.occupied('a', true)
    await clock.advance(100)
    webhooks.occupied('a', false)
    await webhooks.stop()
    webhooks.missed('cache-a')
    expect(names()).toEqual(['channel_occupied a', 'channel_vacated a'])
  })

  test('only the chosen events go out', async () => {
    const { webhooks, clock, names } = open({ events: ['cache_miss'] })
    webhooks.occupied('a', true)
    webhooks.occupied('a', false)
    webhooks.missed('cache-a')
    await clock.advance(10_000)
    expect(names()).toEqual(['cache_miss cache-a'])
  })
})
