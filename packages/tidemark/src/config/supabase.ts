import type { TidemarkConfig } from './options/options.js'

interface SupabaseDatabase {
  readonly host: string | undefined
  readonly port: number
  readonly name: string
  readonly user: string
  readonly password: string | undefined
}

/** Supabase's own hosts speak TLS only; a local stack has none. */
const needsTls = (host: string): boolean => /\.supabase\.(co|com)$/.test(host)

export const databaseUrl = ({ host, port, name, user, password }: SupabaseDatabase): string | undefined => {
  if (host === undefined) return undefined
  const login = encodeURIComponent(user) + (password === undefined ? '' : `:${encodeURIComponent(password)}`)
  const address = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  return `postgresql://${login}@${address}:${port}/${encodeURIComponent(name)}${needsTls(host) ? '?sslmode=require' : ''}`
}

/** The settings of the Supabase integration, with times in milliseconds. */
export type SupabaseConfig = TidemarkConfig['supabase'] & {
  /** SUPABASE_CONNECTION_TIMEOUT. */
  readonly connectionTimeoutMs: number
  /** SUPABASE_DB_* as one connection string, or undefined where no host is known. Holds the password. */
  readonly databaseUrl: string | undefined
}

/** Successor of `get_supabase_config()`. */
export const getSupabaseConfig = (config: TidemarkConfig): SupabaseConfig => ({
  ...config.supabase,
  connectionTimeoutMs: config.postgres.secondary.connectTimeoutMs,
  databaseUrl: getSupabaseDatabaseUrl(config),
})

/** Successor of `is_supabase_configured()`: the integration is on, and the server has a URL and a key to use it with. */
export const isSupabaseConfigured = ({ supabase }: TidemarkConfig): boolean =>
  supabase.enabled && supabase.url !== undefined && supabase.serviceRoleKey !== undefined

/** Successor of `get_supabase_database_url()`: built from SUPABASE_DB_*, the password percent-encoded; undefined without a host. */
export const getSupabaseDatabaseUrl = ({ supabase: { database } }: TidemarkConfig): string | undefined =>
  databaseUrl({ ...database, host: database.host, password: database.password })
