import type { TidemarkConfig, WebhookProviderInput } from '../../config/config.js'
import { unknownMember } from '../../config/options/unknown-member.js'
import { TidemarkError } from '../../errors.js'
import {
  type GenericOptions,
  type GoHighLevelOptions,
  generic,
  github,
  gohighlevel,
  lofty,
  type Provider,
  type RolloutOptions,
  rollout,
  type StandardWebhooksOptions,
  standardWebhooks,
} from '../../webhooks/providers/providers.js'

interface Kind {
  /** What it takes besides what every provider does. */
  readonly takes: readonly string[]
  make(name: string, settings: WebhookProviderInput): Provider
}

const kinds: Readonly<Record<string, Kind>> = {
  gohighlevel: { takes: ['rsa'], make: (_name, settings) => gohighlevel(settings as GoHighLevelOptions) },
  rollout: { takes: ['input'], make: (_name, settings) => rollout(settings as RolloutOptions) },
  lofty: { takes: [], make: () => lofty() },
  'standard-webhooks': {
    takes: ['headerPrefix', 'entity', 'tenant'],
    make: (name, settings) => standardWebhooks({ ...(settings as StandardWebhooksOptions), name }),
  },
  github: { takes: [], make: (name) => github(name) },
  generic: {
    takes: ['signature', 'fields', 'window'],
    make: (name, settings) => generic({ ...(settings as GenericOptions), name }),
  },
}

const shared = ['kind', 'tenants', 'maxBytes'] as const satisfies readonly (keyof WebhookProviderInput)[]

const refuse = (name: string, reason: string | undefined): void => {
  if (reason !== undefined) throw new TidemarkError('TM_WEBHOOKS_BAD_OPTION', { option: `providers.${name}`, reason })
}

/** Of a text every part would be an account: others than those that were named would be let in. */
const whyBad = ({ tenants, maxBytes }: Partial<WebhookProviderInput>): string | undefined => {
  if (tenants !== undefined && !(Array.isArray(tenants) && tenants.every((tenant) => typeof tenant === 'string')))
    return 'its "tenants" are no list of texts'
  if (maxBytes !== undefined && !(Number.isInteger(maxBytes) && maxBytes > 0)) return 'its "maxBytes" is no whole number above 0'
  return undefined
}

/** What is misspelt would not be there: accounts that were named would not be looked at. */
const whyUnknown = (settings: object, { takes }: Kind): string | undefined => {
  const { signature } = settings as GenericOptions
  if (signature !== undefined && typeof signature?.header !== 'string') return 'its "signature" names no "header"'
  return unknownMember(settings, [...shared, ...takes])
}

const isDefined = (settings: object): settings is Provider =>
  'proof' in settings && typeof settings.proof === 'function' && 'describe' in settings && typeof settings.describe === 'function'

const makeProvider = (name: string, given: object): Provider => {
  refuse(name, whyBad(given))
  if (isDefined(given)) return { ...given, name }
  const settings = given as WebhookProviderInput
  const kind = settings.kind ?? name
  if (!Object.hasOwn(kinds, kind)) {
    throw new TidemarkError('TM_WEBHOOKS_UNKNOWN_PROVIDER', { provider: kind, known: Object.keys(kinds).join(', ') })
  }
  refuse(name, whyUnknown(settings, kinds[kind]!))
  const { tenants, maxBytes } = settings
  return {
    ...kinds[kind]!.make(name, settings),
    name,
    ...(tenants !== undefined && { tenants }),
    ...(maxBytes !== undefined && { maxBytes }),
  }
}

/** The keys of the configuration; for Rollout, the secret that is configured for its API is the one it signs with. */
const keysOf = ({ webhooks, apps }: TidemarkConfig): NonNullable<TidemarkConfig['webhooks']['keys']> => ({
  ...(apps.rolloutClientSecret !== undefined && { rollout: [{ key: apps.rolloutClientSecret, id: 'client-secret' }] }),
  ...webhooks.keys,
})

/** The providers of the configuration, with their keys. Raises TM_WEBHOOKS_UNKNOWN_PROVIDER and TM_WEBHOOKS_BAD_OPTION. */
export const webhookProviders = (config: TidemarkConfig): readonly Provider[] => {
  const keys = keysOf(config)
  const wanted = config.webhooks.providers ?? Object.fromEntries(Object.keys(keys).map((name) => [name, {}]))
  return Object.entries(wanted).map(([name, settings]) => {
    const provider = makeProvider(name, settings)
    return Object.hasOwn(keys, name) ? { ...provider, keys: keys[name]! } : provider
  })
}
