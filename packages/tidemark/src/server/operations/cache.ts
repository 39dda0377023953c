import { z } from 'zod'
import type { Cache, Definitions } from '../../cache/create-cache.js'
import type { NodeReport } from '../../cache/upkeep/cache-report.js'
import type { TidemarkConfig } from '../../config/config.js'
import { isTidemarkError } from '../../errors.js'
import type { RedisState } from '../../redis/redis.js'
import { encryptionOf } from '../caches/caches.js'
import type { OpenedRedis } from '../open-redis.js'
import type { Project } from '../project/project.js'

const name = z.string().min(1).max(1024)

export const keyRequest = z.strictObject({ key: name })

const kinds = ['key', 'tag', 'table', 'entry', 'all'] as const

export const evictRequest = z
  .strictObject({
    key: name.optional(),
    tag: name.optional(),
    table: name.optional(),
    entry: name.optional(),
    all: z.literal(true).optional(),
    dryRun: z.boolean().optional(),
  })
  .refine((request) => kinds.filter((kind) => request[kind] !== undefined).length === 1, {
    error: 'give one of key, tag, table, entry and all',
  })

export type EvictRequest = z.output<typeof evictRequest>

/** What an operation works with, besides the project. */
export interface CacheInput {
  /** Of the server that was asked; undefined where none runs, or it caches nothing. */
  readonly cache: Cache<Definitions> | undefined
  readonly redis: OpenedRedis | undefined
}

export interface StatsReport {
  /** Nodes tell each other by Redis; without it a server knows of itself only. */
  readonly scope: 'all nodes' | 'this server only' | 'nothing'
  readonly nodes: readonly NodeReport[]
}

/** A value in Redis. */
export interface HeldValue {
  readonly bytes: number
  readonly encrypted: boolean
  /** Since it was read from Postgres. */
  readonly ageMs: number
  /** Until it is no longer fresh, and until it goes; below 0 where it is past that. */
  readonly freshForMs: number
  readonly keptForMs: number
  /** The number of the position that was applied when it was loaded. */
  readonly asOf: string
  /** Whether it would be answered, as far as its epoch tells; null where no server runs that knows it. */
  readonly isCurrent: boolean | null
  /** Null where it could not be opened. */
  readonly tags: readonly string[] | null
  readonly value: unknown
  /** Why it could not be opened. */
  readonly problem: string | null
}

export interface KeyReport {
  /** With the prefix, as Redis has it. */
  readonly key: string
  /** Of the configuration. */
  readonly entry: string | null
  readonly redis: RedisState
  /** Null where Redis does not have it. */
  readonly held: HeldValue | null
  /** Of the server that was asked. */
  readonly memory: { readonly bytes: number; readonly ageMs: number; readonly freshForMs: number } | null
}

export interface EvictReport {
  readonly kind: (typeof kinds)[number]
  readonly name: string
  readonly dryRun: boolean
  /** Entries of the configuration that it concerns. */
  readonly entries: readonly string[]
  /** Nodes that are there to hear of it; null where that is not known. */
  readonly nodes: number | null
}

const prefixOf = ({ cache: { prefix } }: TidemarkConfig): string => prefix ?? ''

/** A key as people write it may lack the prefix. */
const wholeKey = (config: TidemarkConfig, key: string): string =>
  key.startsWith(prefixOf(config)) ? key : prefixOf(config) + key

const isUp = (redis: OpenedRedis | undefined): redis is OpenedRedis => redis?.redis.state === 'up'

const reportsIn = async (config: TidemarkConfig, redis: OpenedRedis): Promise<readonly NodeReport[]> => {
  const { readReports } = await import('../../cache/upkeep/node-reports.js')
  return readReports(redis.redis, prefixOf(config))
}

/** What each node does with its cache. */
export const cacheStats = async ({ config }: Project, { cache, redis }: CacheInput): Promise<StatsReport> => {
  const own = cache?.report()
  const told = isUp(redis) ? await reportsIn(config, redis).catch(() => undefined) : undefined
  if (!told) return own ? { scope: 'this server only', nodes: [own] } : { scope: 'nothing', nodes: [] }
  const others = told.filter(({ node }) => node !== own?.node)
  return { scope: 'all nodes', nodes: [...(own ? [own] : []), ...others] }
}

/** The entries of a project, as far as their names go. */
const finderOf = async (config: TidemarkConfig) => {
  const [{ createKeyFinder }, { parseTemplate, writePart }] = await Promise.all([
    import('../../cache/plan/parse-key.js'),
    import('../../cache/plan/key-template.js'),
  ])
  const prefix = prefixOf(config)
  const entries = Object.entries(config.caches).map(([entry, definition]) => {
    const template = parseTemplate(definition.template)
    const partOf = (params: Readonly<Record<string, string | number | bigint>>) => (each: string) =>
      writePart(template.text, each, params[each], 'text')
    return {
      entry,
      definition,
      names: template.names,
      key: (params: Readonly<Record<string, string | number | bigint>>) =>
        prefix + template.build(template.names.map(partOf(params))),
    }
  })
  return createKeyFinder(entries, prefix)
}

/** What JSON has no form for, in one that people can read. */
const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, each]) => [String(key), each]))
  if (value instanceof Set) return [...value]
  return value
}

const inPlain = (value: unknown): unknown => {
  const text = JSON.stringify(value, plain) as string | undefined
  return text === undefined ? null : (JSON.parse(text) as unknown)
}

const inspect = async (
  config: TidemarkConfig,
  frame: Buffer,
  key: string,
  epochNow: string | null,
): Promise<HeldValue | null> => {
  const [{ epochDigest, readFrame, readHead }, { createValueCipher }] = await Promise.all([
    import('../../cache/redis/frame.js'),
    import('../../cache/redis/value-cipher.js'),
  ])
  const nowMs = Date.now()
  const head = readHead(frame, nowMs)
  if (!head) return null
  const keys = encryptionOf(config)
  const cipher = head.isEncrypted && keys ? createValueCipher(keys) : undefined
  const opened = readFrame(frame, { key, epoch: head.epoch, cipher, nowMs })
  const problem = head.isEncrypted ? 'it is encrypted under a key that cache.encryptionKeys does not hold' : 'it is damaged'
  return {
    bytes: frame.length,
    encrypted: head.isEncrypted,
    ageMs: head.ageMs,
    freshForMs: head.freshForMs,
    keptForMs: head.keptForMs,
    asOf: String(head.asOf),
    isCurrent: epochNow === null ? null : epochDigest(epochNow) === head.epoch,
    tags: opened?.tags ?? null,
    value: opened ? inPlain(opened.value) : null,
    problem: opened ? null : head.keptForMs <= 0 ? 'it is past its time' : problem,
  }
}

const readKey = async ({ redis }: OpenedRedis, key: string): Promise<Buffer | null> => {
  try {
    return await redis.command<Buffer | null>(['GET', key], { buffers: true })
  } catch (error) {
    // Something else than text is no value of a cache.
    if (isTidemarkError(error, 'TM_REDIS_COMMAND')) return null
    throw error
  }
}

/** What is cached under a key. Raises TM_REDIS_*. */
export const cacheGet = async ({ config }: Project, request: string, { cache, redis }: CacheInput): Promise<KeyReport> => {
  const key = wholeKey(config, request)
  const frame = isUp(redis) ? await readKey(redis, key) : null
  const found = (await finderOf(config))(key)
  return {
    key,
    entry: found?.entry.entry ?? null,
    redis: redis?.redis.state ?? 'absent',
    held: frame && (await inspect(config, frame, key, cache?.redisEpoch() ?? null)),
    memory: cache?.held(key) ?? null,
  }
}

const qualified = (table: string): string => (table.includes('.') ? table : `public.${table}`)

/** What an eviction is written as. */
const namedBy = (
  config: TidemarkConfig,
  request: EvictRequest,
): { readonly kind: EvictReport['kind']; readonly name: string } => {
  if (request.key !== undefined) return { kind: 'key', name: wholeKey(config, request.key) }
  if (request.tag !== undefined) return { kind: 'tag', name: request.tag }
  if (request.table !== undefined) return { kind: 'table', name: qualified(request.table) }
  if (request.entry !== undefined) return { kind: 'entry', name: request.entry }
  return { kind: 'all', name: '' }
}

interface Concerned {
  readonly tags?: unknown
  readonly from?: Readonly<Record<string, unknown>>
}

const concerned = async (config: TidemarkConfig, kind: EvictReport['kind'], given: string): Promise<readonly string[]> => {
  const entries = Object.entries(config.caches)
  const namesOf = (isConcerned: (options: Concerned, entry: string) => boolean): readonly string[] =>
    entries.filter(([entry, { options }]) => isConcerned(options, entry)).map(([entry]) => entry)
  if (kind === 'key') {
    const found = (await finderOf(config))(given)
    return found ? [found.entry.entry] : []
  }
  if (kind === 'tag') return namesOf(({ tags }) => tags !== undefined)
  if (kind === 'table') return namesOf(({ from = {} }) => Object.keys(from).some((table) => qualified(table) === given))
  return namesOf((_options, entry) => kind === 'all' || entry === given)
}

export const touchedRequest = z.strictObject({ table: name })

/** The entries whose rules name a table: what a change of it evicts. */
export const cacheTouched = async ({ config }: Project, table: string): Promise<{ readonly entries: readonly string[] }> => ({
  entries: await concerned(config, 'table', qualified(table)),
})

/** Takes values away on all nodes: by a row that the feed carries to them in its place among the changes. */
export const cacheEvict = async (project: Project, request: EvictRequest, { cache, redis }: CacheInput): Promise<EvictReport> => {
  const { config } = project
  const { dryRun = false } = request
  const { kind, name: given } = namedBy(config, request)
  const stats = await cacheStats(project, { cache, redis })
  const report = {
    kind,
    name: given,
    dryRun,
    entries: await concerned(config, kind, given),
    nodes: stats.scope === 'all nodes' ? stats.nodes.length : null,
  }
  if (dryRun) return report
  await project.withDatabase(undefined, async ({ target }) => {
    const { connectPostgres } = await import('../../postgres/postgres.js')
    const client = await connectPostgres({ ...target, name: 'cache command' })
    try {
      await client.query('insert into tidemark.cache_evictions (kind, name) values ($1, $2)', [kind, given])
    } finally {
      await client.end().catch(() => undefined)
    }
  })
  return report
}
