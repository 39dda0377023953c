import { z } from 'zod'
import { durationMs, integer, type Kind, oneOf, text } from './kinds.js'
import { option } from './option.js'
import { isPlainObject } from './tree.js'

/** A key of a provider of webhooks. */
export interface WebhookKeyInput {
  readonly key: string
  /** Named in metrics. Default: its place in the list. */
  readonly id?: string | undefined
  /** ISO 8601; not good before. */
  readonly notBefore?: string | undefined
  /** ISO 8601; not good from then on. */
  readonly notAfter?: string | undefined
  /** Good for this account at the provider only. */
  readonly tenant?: string | undefined
}

/** What may be said of a provider, besides what its kind takes. */
export interface WebhookProviderInput {
  /** One of those that Tidemark knows. Default: the name under which it stands. */
  readonly kind?: string
  /** Events of any other account are refused. */
  readonly tenants?: readonly string[]
  readonly maxBytes?: number
}

/** Settings, or what `defineProvider` made. */
type Providers = Readonly<Record<string, WebhookProviderInput | object>>
type Keys = Readonly<Record<string, readonly WebhookKeyInput[]>>

const providerName = /^[a-z0-9][a-z0-9-]{0,62}$/

const separated = (value: string): readonly string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const whyNoProviders = (value: unknown): string | undefined => {
  if (!isPlainObject(value)) return 'it is not an object of providers'
  for (const [name, settings] of Object.entries(value)) {
    if (!providerName.test(name)) return `the name "${name}" of a provider is not lower case letters, digits and "-"`
    if (!isPlainObject(settings)) return `the provider "${name}" is no object of settings`
  }
  return undefined
}

const providers: Kind<Providers> = {
  // Functions and all pass through as they are.
  schema: z.custom<Providers>().superRefine((value, context) => {
    const message = whyNoProviders(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }),
  fromText: (value) => Object.fromEntries(separated(value).map((name) => [name, {}])),
  expected: 'names such as gohighlevel,rollout; in a configuration file an object of settings by name',
  argument: 'names',
}

const key = z.strictObject(
  {
    key: z.string({ error: 'a key is not text' }).min(1, { error: 'a key is empty' }),
    id: z
      .string()
      .regex(/^[\w.-]{1,64}$/, { error: 'the id of a key is not letters, digits and "-"' })
      .optional(),
    notBefore: z.string({ error: 'a notBefore is not text' }).optional(),
    notAfter: z.string({ error: 'a notAfter is not text' }).optional(),
    tenant: z.string({ error: 'the tenant of a key is not text' }).min(1, { error: 'the tenant of a key is empty' }).optional(),
  },
  { error: 'a key is not { key, id, notBefore, notAfter, tenant }' },
)

const keysFromPairs = (value: string): unknown => {
  const keys: Record<string, { key: string }[]> = {}
  for (const pair of separated(value)) {
    const [name = '', secret = ''] = pair.split(/=(.*)/s)
    if (name === '' || secret === '') return undefined
    keys[name] = [...(keys[name] ?? []), { key: secret }]
  }
  return keys
}

const keysFromJson = (value: string): unknown => {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

const keys: Kind<Keys> = {
  schema: z.record(
    z.string().regex(providerName, { error: 'the name of a provider in it is not lower case letters, digits and "-"' }),
    z.array(key, { error: 'the keys of a provider are no list' }).min(1, { error: 'the list of keys of a provider is empty' }),
    { error: 'it is not an object of keys by provider' },
  ),
  fromText: (value) => (value.trimStart().startsWith('{') ? keysFromJson(value) : keysFromPairs(value)),
  expected:
    'provider=key, separated by commas, a provider more than once for several keys; or JSON such as {"rollout":[{"key":"…","notAfter":"2027-01-01T00:00:00Z"}]}',
  argument: 'keys',
}

export const webhookOptions = {
  'webhooks.providers': option(providers, {
    help: 'Providers whose webhooks are taken at /webhooks/NAME. docs/webhooks.md lists them, and says how to add one.',
    defaultText: 'those that have keys',
  }),
  'webhooks.keys': option(keys, {
    help: 'Secrets and public keys by provider. Several are good side by side, so that one can follow another.',
    secret: true,
    defaultText: 'ROLLOUT_CLIENT_SECRET for rollout',
  }),
  'webhooks.durability': option(oneOf(['postgres', 'redis']), {
    help: 'Where an event is before it is answered: in Postgres (in Redis while Postgres is away), or in Redis, which is faster and may lose a second with its machine.',
    default: 'postgres',
  }),
  'webhooks.partitions': option(integer(1, 1024), {
    help: 'Streams that events are spread over, by what they are about. The same in every process; changed only while nothing waits.',
    default: 1,
  }),
  'webhooks.dedupeTtlMs': option(durationMs(180 * 60_000, 30 * 86_400_000), {
    help: 'How long Redis remembers the ids of events. Postgres remembers them as long as it has their rows.',
    default: 86_400_000,
    defaultText: '24h',
  }),
  'webhooks.bodyTimeoutMs': option(durationMs(100, 300_000), {
    help: 'How long the body of a delivery may take.',
    default: 10_000,
    defaultText: '10s',
  }),
  'webhooks.storeTimeoutMs': option(durationMs(50, 60_000), {
    help: 'How long Postgres may take for a group of events, before Redis has to hold them.',
    default: 2_000,
    defaultText: '2s',
  }),
  'webhooks.maxDepth': option(integer(1, 1000), {
    help: 'How deep the JSON of a delivery may be nested.',
    default: 100,
  }),
  'webhooks.failuresPerMinute': option(integer(0, 1_000_000), {
    help: 'Wrong signatures from one public address in a minute, before it is refused without a look; 0 for any number.',
    default: 300,
  }),
  'webhooks.ipHeader': option(
    text({
      pattern: /^[A-Za-z][\w-]{0,63}$/,
      reason: 'it is no name of a header',
      expected: 'the name of a header that your proxy sets, such as x-real-ip',
      argument: 'header',
    }),
    { help: "Header that holds the sender's address, set by a proxy in front. Its last address counts.", defaultText: 'none' },
  ),
} as const
