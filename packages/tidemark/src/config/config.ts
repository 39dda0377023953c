export type { AlertChannelInput, AlertChannelsInput } from './options/alerts-options.js'
export type { CodeMessage, SendCode } from './options/auth-options.js'

import type { ConfigInput } from './options/options.js'

export { type ConfigFlag, configFlags, pickFlags } from './flags.js'
export { type LoadConfigOptions, type LoadedConfigFile, loadConfig, loadConfigFile } from './load.js'
export { type MaskedOption, maskedConfig } from './mask.js'
export { configNotices, type PoolDemand, poolDemand } from './notices.js'
export type { CacheDefinitionInput } from './options/cache-options.js'
export type { ConfigInput, PoolName, TidemarkConfig } from './options/options.js'
export type { RelayDefinitionInput } from './options/relay-options.js'
export type { WebhookKeyInput, WebhookProviderInput } from './options/webhook-options.js'
export { configSources, type ResolveOptions, resolveConfig } from './resolve.js'
export { getSupabaseConfig, getSupabaseDatabaseUrl, isSupabaseConfigured, type SupabaseConfig } from './supabase.js'

/** Gives the content of a `tidemark.config.ts` its type. Returns it unchanged. */
export const defineConfig = (config: ConfigInput): ConfigInput => config
