import type { TidemarkConfig } from '../../config/config.js'
import type { Runtime } from '../runtime.js'
import { accessibleOf, type HealthTable, healthTables, type Probe } from './health-tables.js'

/** As the agents' documentation has it. */
export interface SupabaseHealthBody {
  /** `degraded`: it answers, but not for every table. */
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  readonly response_time_ms: number
  readonly tables_accessible: Readonly<Record<string, boolean>>
  readonly realtime_enabled: boolean
}

export interface SupabaseHealthAnswer {
  readonly httpStatus: 200 | 503
  readonly body: SupabaseHealthBody
}

export interface SupabaseHealthOptions {
  readonly config: TidemarkConfig
  /** Undefined while the server starts. */
  runtime(): Runtime | undefined
}

const probe = async (
  { config: { supabase }, runtime }: SupabaseHealthOptions,
  tables: readonly HealthTable[],
  signal: AbortSignal,
): Promise<Probe> => {
  const nothing: Probe = { reachable: false, accessible: accessibleOf(tables, []) }
  if (supabase.enabled && supabase.url !== undefined) {
    const key = supabase.serviceRoleKey ?? supabase.anonKey
    if (key === undefined) return nothing
    const { probeProject } = await import('./probe-project.js')
    return probeProject({ url: supabase.url, key }, tables, signal)
  }
  const pool = runtime()?.pools.primary
  if (!pool) return nothing
  const { probeDatabase } = await import('./probe-database.js')
  return probeDatabase(pool, tables, signal)
}

const statusOf = ({ reachable, accessible }: Probe): SupabaseHealthBody['status'] => {
  if (!reachable) return 'unhealthy'
  return Object.values(accessible).every(Boolean) ? 'healthy' : 'degraded'
}

/**
 * Looks at the configured tables: through the API of the cloud project where one is configured, else in the server's own Postgres.
 * Who asks while a look is under way gets what that one finds.
 */
export const createSupabaseHealth = (options: SupabaseHealthOptions): (() => Promise<SupabaseHealthAnswer>) => {
  const { supabase } = options.config
  const tables = healthTables(supabase.healthTables, supabase.agentSchema)
  let running: Promise<SupabaseHealthAnswer> | undefined

  const look = async (): Promise<SupabaseHealthAnswer> => {
    const startedAt = performance.now()
    const found = await probe(options, tables, AbortSignal.timeout(supabase.timeoutMs))
    const status = statusOf(found)
    return {
      httpStatus: status === 'unhealthy' ? 503 : 200,
      body: {
        status,
        response_time_ms: Math.round((performance.now() - startedAt) * 10) / 10,
        tables_accessible: found.accessible,
        realtime_enabled: supabase.enabled && supabase.realtime,
      },
    }
  }

  return () => {
    running ??= look().finally(() => {
      running = undefined
    })
    return running
  }
}
