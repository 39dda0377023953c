import type { Redis, RedisCommand } from '../../redis/redis.js'

/** How far back a count reaches, and how long it is kept. */
const timeframes = [
  { name: 'minute', length: 'YYYY-MM-DDTHH:MM'.length, keptSeconds: 2 * 3600 },
  { name: 'hour', length: 'YYYY-MM-DDTHH'.length, keptSeconds: 3 * 86_400 },
  { name: 'day', length: 'YYYY-MM-DD'.length, keptSeconds: 40 * 86_400 },
] as const

export type Timeframe = (typeof timeframes)[number]['name']

export interface LiveCountersOptions {
  readonly redis: Redis
  /** Stands before every key. Default: nothing. */
  readonly prefix?: string
}

/** Counts of all processes together, as they happen: a hash `reanna:metrics:{type}:{timeframe}` for each minute, hour and day. */
export interface LiveCounters {
  /** Adds to fields, at a moment in milliseconds since 1970. Without Redis they are not counted. */
  add(type: string, fields: Readonly<Record<string, number>>, atMs: number): Promise<void>
  /** The counts of the timeframe that holds the moment. */
  read(type: string, timeframe: Timeframe, atMs: number): Promise<Readonly<Record<string, number>>>
}

/** `2026-11-22T10:15`, `2026-11-22T10` or `2026-11-22`, in UTC. */
const timeframeOf = (timeframe: Timeframe, atMs: number): string =>
  new Date(atMs).toISOString().slice(0, timeframes.find(({ name }) => name === timeframe)?.length)

/** Counts in Redis under the documented `reanna:metrics:{type}:{timeframe}`, for all processes together. */
export const createLiveCounters = ({ redis, prefix = '' }: LiveCountersOptions): LiveCounters => {
  const keyOf = (type: string, timeframe: Timeframe, atMs: number): string =>
    `${prefix}reanna:metrics:${type}:${timeframeOf(timeframe, atMs)}`
  return {
    add: async (type, fields, atMs) => {
      const counted = Object.entries(fields).filter(([, by]) => by !== 0)
      if (counted.length === 0 || redis.state !== 'up') return
      const commands = timeframes.flatMap(({ name, keptSeconds }): readonly RedisCommand[] => {
        const key = keyOf(type, name, atMs)
        return [
          ...counted.map(([field, by]): RedisCommand => ['HINCRBY', key, field, Math.round(by)]),
          ['EXPIRE', key, keptSeconds],
        ]
      })
      await redis.pipeline(commands)
    },
    read: async (type, timeframe, atMs) => {
      const flat = await redis.command<string[]>(['HGETALL', keyOf(type, timeframe, atMs)])
      return Object.fromEntries(flat.flatMap((field, at) => (at % 2 === 0 ? [[field, Number(flat[at + 1])]] : [])))
    },
  }
}
