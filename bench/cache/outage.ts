// Redis dies while everybody reads.
import { startTestRedis } from '../../packages/tidemark/dist/testing/redis/redis-server.js'
import { type Part, paceFigures, paceRatio } from './part.ts'
import { type Item, itemCount, itemEntry, itemSql } from './stage.ts'
import { paceOfCallers, takeTurns } from './turns.ts'

const callers = 64

export const redisDown: Part = async (stage, { rounds, ms, signal }) => {
  const redis = await startTestRedis()
  const entries = { item: itemEntry('down', stage.loads, { maxBytes: 0 }) }
  const [node] = await stage.open(1, { name: 'outage', entries, redis: redis.url })
  try {
    const { pools, entries: opened } = node!
    let errors = 0
    const ours = (n: number) =>
      opened.item.get({ id: (n * 7919) % itemCount }).catch(() => {
        errors++
      })
    const raw = async (n: number): Promise<Item | null> =>
      (await pools.primary.query<Item>(itemSql, [(n * 7919) % itemCount])).rows[0] ?? null
    const reading = paceOfCallers(ms * 2, callers, ours)
    await new Promise((resolve) => setTimeout(resolve, ms))
    redis.signal('SIGKILL')
    await reading
    const found = await takeTurns(
      { ours: () => paceOfCallers(ms, callers, ours), raw: () => paceOfCallers(ms, callers, raw) },
      { rounds, signal },
    )
    const toRaw = paceRatio('cache-redis-down-64', found.ours, 'raw-pg', found.raw)
    const failed = { name: 'cache-redis-down-errors', values: [errors] }
    return {
      figures: [
        ...paceFigures('Redis down, 64 callers, tidemark', found.ours),
        ...paceFigures('Redis down, 64 callers, query by the same pool', found.raw),
      ],
      measures: [toRaw, failed],
      targets: [
        { measure: failed, what: 'no error while Redis dies and is down', limit: 0 },
        { measure: toRaw, what: '64 callers read at least 0.7 times as often as they query', limit: 0.7, bound: 'least' },
      ],
    }
  } finally {
    await node!.stop()
    await redis.stop()
  }
}
