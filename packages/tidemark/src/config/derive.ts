import { resolve } from 'node:path'
import { TidemarkError } from '../errors.js'
import { withDatabase } from './database-in-url.js'
import { databaseUrl } from './supabase.js'

type Values = Map<string, unknown>
type Sources = Map<string, string>

const isDefault = (sources: Sources, key: string): boolean => (sources.get(key) ?? 'default') === 'default'

/** A smaller maximum lowers the default minimum with it; a minimum that was given above it is an error. */
const fitPools = (values: Values, sources: Sources): void => {
  for (const pool of ['primary', 'analytics', 'migration', 'secondary', 'auth', 'rest']) {
    const [minKey, maxKey] = [`postgres.${pool}.minConnections`, `postgres.${pool}.maxConnections`]
    const min = values.get(minKey) as number
    const max = values.get(maxKey) as number
    if (min <= max) continue
    if (isDefault(sources, minKey)) values.set(minKey, max)
    else
      throw new TidemarkError('TM_CONFIG_BAD_VALUE', {
        option: minKey,
        value: min,
        source: sources.get(minKey)!,
        reason: `it is above ${maxKey}, which is ${max} (${sources.get(maxKey)})`,
        expected: `a whole number from 0 to ${max}, or raise ${maxKey}`,
      })
  }
}

const requirePair = (values: Values, key: string, fix: string, other: string): void => {
  if (values.get(other) !== undefined && values.get(key) === undefined)
    throw new TidemarkError('TM_CONFIG_MISSING', { option: key, fix })
}

/** `db.<project>.supabase.co`: the documents give a project's URL and the database's password, and no host. */
const supabaseHost = (values: Values): string | undefined => {
  const url = values.get('supabase.url') as string | undefined
  const project = url && /^([\w-]+)\.supabase\.co$/.exec(new URL(url).hostname)?.[1]
  return project && values.get('supabase.database.password') !== undefined ? `db.${project}.supabase.co` : undefined
}

const set = (values: Values, sources: Sources, key: string, value: unknown, source: string): void => {
  values.set(key, value)
  sources.set(key, source)
}

/** With the provider "supabase" its database is the primary where no other is named; otherwise it is the secondary. */
const placeSupabase = (values: Values, sources: Sources): void => {
  const host = supabaseHost(values)
  if (host !== undefined && values.get('supabase.database.host') === undefined)
    set(values, sources, 'supabase.database.host', host, 'supabase.url')
  if (values.get('supabase.enabled') !== true) return
  const url = databaseUrl({
    host: values.get('supabase.database.host') as string | undefined,
    port: values.get('supabase.database.port') as number,
    name: values.get('supabase.database.name') as string,
    user: values.get('supabase.database.user') as string,
    password: values.get('supabase.database.password') as string | undefined,
  })
  if (url === undefined) return
  const isPrimary = values.get('database.provider') === 'supabase' && values.get('postgres.url') === undefined
  const key = isPrimary ? 'postgres.url' : 'postgres.secondaryUrl'
  if (values.get(key) === undefined) set(values, sources, key, url, 'supabase.database')
}

const databaseUrls = ['postgres.url', 'postgres.directUrl', 'postgres.analyticsUrl', 'postgres.migrationUrl'] as const

/** All that connect to the primary mean the same database. */
const placeDatabase = (values: Values): void => {
  const name = values.get('postgres.database') as string | undefined
  if (name === undefined) return
  for (const key of databaseUrls) {
    const url = values.get(key) as string | undefined
    if (url !== undefined) values.set(key, withDatabase(url, name))
  }
}

/** Without a name the only key is the current one. What is wrong with a name is told by the cache, which never repeats it. */
const chooseEncryptionKey = (values: Values, sources: Sources): void => {
  const names = Object.keys((values.get('cache.encryptionKeys') as object | undefined) ?? {})
  if (values.get('cache.encryptionKey') !== undefined || names.length === 0) return
  if (names.length > 1)
    throw new TidemarkError('TM_CONFIG_MISSING', {
      option: 'cache.encryptionKey',
      fix: 'Name the one of cache.encryptionKeys that new values are written under.',
    })
  set(values, sources, 'cache.encryptionKey', names[0], sources.get('cache.encryptionKeys')!)
}

/** Fills in what follows from other options, and checks what only several options together can get wrong. */
export const derive = (values: Values, sources: Sources, cwd: string): void => {
  fitPools(values, sources)
  requirePair(values, 'redis.restToken', 'Set UPSTASH_REDIS_REST_TOKEN beside UPSTASH_REDIS_REST_URL.', 'redis.restUrl')
  requirePair(values, 'redis.restUrl', 'Set UPSTASH_REDIS_REST_URL beside UPSTASH_REDIS_REST_TOKEN.', 'redis.restToken')
  placeSupabase(values, sources)
  placeDatabase(values)
  chooseEncryptionKey(values, sources)
  if (values.get('supabase.debug') === true && isDefault(sources, 'log.level'))
    set(values, sources, 'log.level', 'debug', sources.get('supabase.debug')!)
  values.set('stateDir', resolve(cwd, values.get('stateDir') as string))
  values.set('server.portAsked', !isDefault(sources, 'server.port'))
}
