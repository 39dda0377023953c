import type { TidemarkConfig, WebhookProviderInput } from '../../config/config.js'
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

type Make = (name: string, settings: WebhookProviderInput) => Provider

const makers: Readonly<Record<string, Make>> = {
  gohighlevel: (_name, settings) => gohighlevel(settings as GoHighLevelOptions),
  rollout: (_name, settings) => rollout(settings as RolloutOptions),
  lofty: () => lofty(),
  'standard-webhooks': (name, settings) => standardWebhooks({ ...(settings as StandardWebhooksOptions), name }),
  github: (name) => github(name),
  generic: (name, settings) => generic({ ...(settings as GenericOptions), name }),
}

const isDefined = (settings: object): settings is Provider =>
  'proof' in settings && typeof settings.proof === 'function' && 'describe' in settings && typeof settings.describe === 'function'

const makeProvider = (name: string, given: object): Provider => {
  if (isDefined(given)) return { ...given, name }
  const settings = given as WebhookProviderInput
  const kind = settings.kind ?? name
  if (!Object.hasOwn(makers, kind)) {
    throw new TidemarkError('TM_WEBHOOKS_UNKNOWN_PROVIDER', { provider: kind, known: Object.keys(makers).join(', ') })
  }
  const { tenants, maxBytes } = settings
  return {
    ...makers[kind]!(name, settings),
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

/** The providers of the configuration, with their keys. Raises TM_WEBHOOKS_UNKNOWN_PROVIDER. */
export const webhookProviders = (config: TidemarkConfig): readonly Provider[] => {
  const keys = keysOf(config)
  const wanted = config.webhooks.providers ?? Object.fromEntries(Object.keys(keys).map((name) => [name, {}]))
  return Object.entries(wanted).map(([name, settings]) => {
    const provider = makeProvider(name, settings)
    return Object.hasOwn(keys, name) ? { ...provider, keys: keys[name]! } : provider
  })
}
