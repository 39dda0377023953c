import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { until } from '../time/until.js'
import { createRedis } from './create-redis.js'

const url = sharedRedisUrl()
const cleanups = useCleanups()

/** Passes everything on, and cuts lines. */
const openProxy = async (target: string) => {
  const { hostname, port } = new URL(target)
  const lines = new Set<Socket>()
  const proxy = { url: '', cuts: 0, cutsSubscribers: false, cut: () => [...lines].map((line) => line.destroy()) }
  const server = createServer((line) => {
    const onward = connect(Number(port), hostname)
    lines.add(line)
    for (const [one, other] of [
      [line, onward],
      [onward, line],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => other.destroy())
    }
    line.on('data', (bytes) => {
      if (proxy.cutsSubscribers && /\r\nsubscribe\r\n/i.test(bytes.toString())) {
        proxy.cuts++
        line.destroy()
      } else onward.write(bytes)
    })
    onward.on('data', (bytes) => line.write(bytes))
    line.on('close', () => lines.delete(line))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(async () => {
    server.close()
    proxy.cut()
  })
  proxy.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}

// Nobody waits for the answer to what is sent on a new line: its failure would end the process, and here the run.
test.skipIf(url === undefined)(
  'a listener goes on hearing after its line broke again and again while it was taken up',
  async () => {
    const proxy = await openProxy(url!)
    const redis = await createRedis({ url: proxy.url, retryMaxMs: 5 })
    cleanups.push(() => redis.stop())
    const heard: string[] = []
    await redis.subscribe(['lines:a', 'lines:b'], (message, channel) => heard.push(`${channel} ${message}`))
    proxy.cutsSubscribers = true
    proxy.cut()
    await until(() => proxy.cuts >= 3, { what: 'Lines that broke' })
    proxy.cutsSubscribers = false
    await until(async () => {
      await redis.command(['PUBLISH', 'lines:b', 'still there']).catch(() => undefined)
      return heard.length > 0
    })
    expect(new Set(heard)).toEqual(new Set(['lines:b still there']))
  },
)
