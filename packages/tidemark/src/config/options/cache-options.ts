import { z } from 'zod'
import { bytes, durationMs, type Kind, text } from './kinds.js'
import { option } from './option.js'
import { isPlainObject } from './tree.js'

/** A cache entry as `cached` defines it; what is in it is looked at by whoever makes a cache of it. */
export interface CacheDefinitionInput {
  readonly template: string
  readonly options: object
}

const entryName = /^[A-Za-z_$][\w$]{0,62}$/

const isDefinition = (value: unknown): boolean =>
  isPlainObject(value) &&
  typeof value['template'] === 'string' &&
  isPlainObject(value['options']) &&
  typeof value['options']['load'] === 'function'

const whyNoDefinitions = (value: unknown): string | undefined => {
  if (!isPlainObject(value)) return 'it is not an object of entries'
  for (const [name, definition] of Object.entries(value)) {
    if (!entryName.test(name)) return `the name "${name}" of an entry is not letters, digits and _`
    if (!isDefinition(definition)) return `the entry "${name}" was not made by cached(…)`
  }
  return undefined
}

const definitions: Kind<Readonly<Record<string, CacheDefinitionInput>>> = {
  // Functions and all pass through as they are.
  schema: z.custom<Readonly<Record<string, CacheDefinitionInput>>>().superRefine((value, context) => {
    const message = whyNoDefinitions(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }),
  fromText: () => undefined,
  expected: "an object such as { messages: cached('chat:messages:{session_id}', { … }) }",
}

const namedKeys: Kind<Readonly<Record<string, string>>> = {
  schema: z.record(
    z.string().regex(/^[\w-]{1,32}$/, { error: 'a key has a name that is none' }),
    z.string({ error: 'a key is not text' }).min(1, { error: 'a key is empty' }),
    { error: 'it is not an object of keys by name' },
  ),
  fromText: (value) => {
    const pairs = value.split(',').map((pair) => pair.trim().split(/=(.*)/s))
    return pairs.every(([name, key]) => name && key) ? Object.fromEntries(pairs.map(([name, key]) => [name!, key!])) : undefined
  },
  expected: 'names, each with 32 bytes as base64 or hex: 2026=<key>,2027=<key>, or an object of them',
  argument: 'keys',
}

export const cacheOptions = {
  caches: option(definitions, {
    help: 'Cached values, by name; in a configuration file only. docs/cache.md says how.',
    env: [],
    default: {},
    defaultText: 'none',
  }),
  'cache.prefix': option(
    text({
      pattern: /^[^\s{}\p{Cc}]{1,100}$/u,
      reason: 'it holds white space or braces, or is longer than 100 characters',
      expected: 'a word such as staging:',
    }),
    {
      help: 'Stands before every key in Redis, so that environments share one without meeting.',
      defaultText: 'nothing',
    },
  ),
  'cache.encryptionKeys': option(namedKeys, {
    help: 'Keys of entries that are encrypted in Redis. Values under each of them are read.',
    secret: true,
  }),
  'cache.encryptionKey': option(
    text({
      pattern: /^[\w-]{1,32}$/,
      reason: 'it is not up to 32 letters, digits, "-" and "_"',
      expected: 'the name of one of cache.encryptionKeys',
      argument: 'name',
    }),
    {
      help: 'Name of the key that new values are written under.',
      secret: true,
      defaultText: 'the only one',
    },
  ),
  'cache.waitMs': option(durationMs(0, 60_000), {
    help: 'How long a read waits for the position that it has to see before it asks Postgres.',
    default: 500,
  }),
  'cache.maxBytes': option(bytes(65_536, 2 ** 40), {
    help: 'Memory that all entries of this process may take together. Above it each gives up its share.',
    defaultText: 'the sum of what the entries may take',
  }),
  'cache.sampleEveryMs': option(durationMs(0, 86_400_000), {
    help: 'How often a cached key is compared with Postgres; 0 never.',
    default: 1000,
  }),
} as const
