/** What a node tells of its cache: for people, for other nodes, for metrics. Plain data. */
import { hostname } from 'node:os'
import { formatPosition } from '../../feed/position.js'
import type { AnyEntry } from '../follow/cache-follower.js'
import type { FeedState } from '../follow/feed-state.js'

export interface EntryReport {
  readonly template: string
  readonly memory: number
  readonly redis: number
  readonly stale: number
  readonly misses: number
  readonly loads: number
  readonly loadErrors: number
  readonly refused: number
  readonly bypassed: number
  readonly evictions: number
  readonly clears: number
  readonly redisErrors: number
  readonly tooLarge: number
  readonly warmed: number
  readonly sampled: number
  readonly staleFound: number
  /** From 0 to 1; null before the first read. */
  readonly hitRate: number | null
  /** In memory: keys, bytes, how many there may be, and keys that had to make room. */
  readonly keys: number
  readonly bytes: number
  readonly maxBytes: number
  readonly displaced: number
  /** Of the last answers from memory and Redis; null before the first. */
  readonly ageMedianMs: number | null
  readonly ageMaxMs: number | null
}

export interface NodeReport {
  readonly node: string
  readonly host: string
  readonly pid: number
  /** Milliseconds since everything was proven to have been applied; null where it never was. */
  readonly freshnessMs: number | null
  readonly position: string | null
  readonly entries: Readonly<Record<string, EntryReport>>
}

const reportEntry = ({ definition, stats, memory }: AnyEntry): EntryReport => ({
  template: definition.template,
  memory: stats.memory,
  redis: stats.redis,
  stale: stats.stale,
  misses: stats.misses,
  loads: stats.loads,
  loadErrors: stats.loadErrors,
  refused: stats.refused,
  bypassed: stats.bypassed,
  evictions: stats.evictions,
  clears: stats.clears,
  redisErrors: stats.redisErrors,
  tooLarge: stats.tooLarge,
  warmed: stats.warmed,
  sampled: stats.sampled,
  staleFound: stats.staleFound,
  hitRate: stats.hitRate,
  keys: memory?.size ?? 0,
  bytes: memory?.bytes ?? 0,
  maxBytes: memory?.maxBytes ?? 0,
  displaced: memory?.evictions ?? 0,
  ageMedianMs: stats.ages?.medianMs ?? null,
  ageMaxMs: stats.ages?.maxMs ?? null,
})

export const reportNode = (node: string, entries: ReadonlyMap<string, AnyEntry>, feed: FeedState): NodeReport => ({
  node,
  host: hostname(),
  pid: process.pid,
  freshnessMs: Number.isFinite(feed.freshnessMs) ? Math.round(feed.freshnessMs) : null,
  position: feed.position && formatPosition(feed.position),
  entries: Object.fromEntries([...entries].map(([name, entry]) => [name, reportEntry(entry)])),
})
