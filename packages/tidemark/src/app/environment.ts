/** The settings of an application: variables of its environment. */
import { z } from 'zod'
import type { Definitions } from '../cache/create-cache.js'
import type { OpenCacheOptions } from '../cache/open-cache.js'
import { TidemarkError } from '../errors.js'
import { smallestSecretBytes } from './bearer.js'

/** Kinds of variables that applications have in common. */
export const variables = {
  /** One that has to be there. */
  required: () => z.string({ error: 'is missing' }),
  flag: (fallback: boolean) =>
    z
      .enum(['true', 'false', '1', '0'])
      .default(fallback ? 'true' : 'false')
      .transform((value) => value === 'true' || value === '1'),
  /** An HS256 secret. */
  secret: () =>
    variables
      .required()
      .refine((secret) => Buffer.byteLength(secret) >= smallestSecretBytes, `has fewer than ${smallestSecretBytes} bytes`),
  port: (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback),
  host: () => z.string().default('127.0.0.1'),
} as const

/** Where the data are; {@link cachePlaces} reads them. */
export const databaseVariables = {
  DATABASE_URL: variables.required(),
  OWNER_DATABASE_URL: z.string().optional(),
  FEED_DATABASE_URL: z.string().optional(),
  REDIS_URL: z.string().optional(),
  CACHE_PREFIX: z.string().default(''),
  CACHE_KEY: z.string().optional(),
} as const

export type DatabaseSettings = z.infer<z.ZodObject<typeof databaseVariables>>

/** What `openCache` wants of the settings. */
export type CachePlaces = Pick<
  OpenCacheOptions<Definitions>,
  'database' | 'owner' | 'replication' | 'redis' | 'prefix' | 'encryption'
>

/** Entries that are `encrypted` need a `CACHE_KEY`. */
export const cachePlaces = (settings: DatabaseSettings): CachePlaces => ({
  database: settings.DATABASE_URL,
  owner: settings.OWNER_DATABASE_URL,
  replication: settings.FEED_DATABASE_URL,
  redis: settings.REDIS_URL,
  prefix: settings.CACHE_PREFIX,
  encryption: settings.CACHE_KEY === undefined ? undefined : { keys: { one: settings.CACHE_KEY }, current: 'one' },
})

/** The settings. Raises TM_APP_SETTINGS, which names the variables and not their values. */
export const readEnvironment = <const S extends z.ZodRawShape>(
  shape: S,
  env: NodeJS.ProcessEnv = process.env,
): z.infer<z.ZodObject<S>> => {
  const parsed = z.object(shape).safeParse(env)
  if (parsed.success) return parsed.data
  const reasons = parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`)
  throw new TidemarkError('TM_APP_SETTINGS', { reasons: reasons.join('; ') })
}
