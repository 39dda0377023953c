/** R112: whether the database of the agents answers, and for which tables: the second one where there is one, else the first. */
import { healthTables, type Pool, probeDatabase } from 'tidemark'
import type { SupabaseHealthBody } from './routes/answers.js'

export type SupabaseHealth = () => Promise<{ readonly httpStatus: 200 | 503; readonly body: SupabaseHealthBody }>

const tables = healthTables(['agent_instances', 'agent_executions', 'agent_metrics'], 'public')
const timeoutMs = 3_000

export const createSupabaseHealth = (pool: Pool, isRealtimeEnabled: boolean): SupabaseHealth => {
  let running: ReturnType<SupabaseHealth> | undefined
  const look: SupabaseHealth = async () => {
    const startedAt = performance.now()
    const { reachable, accessible } = await probeDatabase(pool, tables, AbortSignal.timeout(timeoutMs))
    const status = !reachable ? 'unhealthy' : Object.values(accessible).every(Boolean) ? 'healthy' : 'degraded'
    return {
      httpStatus: status === 'unhealthy' ? 503 : 200,
      body: {
        status,
        response_time_ms: Math.round((performance.now() - startedAt) * 10) / 10,
        tables_accessible: accessible,
        realtime_enabled: isRealtimeEnabled,
      },
    }
  }
  // Who asks while a look is under way gets what that one finds.
  return () => {
    running ??= look().finally(() => {
      running = undefined
    })
    return running
  }
}
