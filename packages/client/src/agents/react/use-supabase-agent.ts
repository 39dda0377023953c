import type { SupabaseClient } from '@supabase/supabase-js'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo } from 'react'
import { followUser } from '../../follow-user.js'
import { useTidemark } from '../../react/tidemark-context.js'
import { useLiveView } from '../../react/use-live-view.js'
import { readAgents, readExecutions, readMetrics } from '../agent-reads.js'
import type { AgentExecution, AgentInstance, AgentMetrics } from '../agent-rows.js'
import type { Database } from '../database.js'

export interface SupabaseAgentOptions {
  /** Agents and executions are told as they change. Default true. */
  readonly enableRealtime?: boolean
  /** Everything is read anew so often, in milliseconds, while the page is seen. Default 30,000. */
  readonly refreshInterval?: number
}

export interface SupabaseAgentActions {
  /** Reads everything anew. */
  refresh(): Promise<void>
  refreshAgents(): Promise<void>
  refreshExecutions(): Promise<void>
  refreshMetrics(): Promise<void>
}

export interface SupabaseAgent {
  /** Newest first. */
  readonly agents: readonly AgentInstance[]
  /** The newest hundred. */
  readonly executions: readonly AgentExecution[]
  /** Of the last 24 hours. */
  readonly metrics: readonly AgentMetrics[]
  /** Something was not read yet. */
  readonly loading: boolean
  readonly error: Error | null
  readonly actions: SupabaseAgentActions
}

const newestFirst = { order: { created_at: 'desc' } } as const
const nothing: readonly never[] = []
const isSeen = (): boolean => typeof document === 'undefined' || document.visibilityState !== 'hidden'

/** Agents, what they do, and how well they do it. */
export const useSupabaseAgent = ({
  enableRealtime = true,
  refreshInterval = 30_000,
}: SupabaseAgentOptions = {}): SupabaseAgent => {
  const tidemark = useTidemark<Database>()
  const { url } = tidemark
  const agentsView = useMemo(() => tidemark.live('agent_instances', newestFirst), [tidemark])
  const executionsView = useMemo(() => tidemark.live('agent_executions', { ...newestFirst, limit: 100 }), [tidemark])
  const liveAgents = useLiveView(url, agentsView, enableRealtime)
  const liveExecutions = useLiveView(url, executionsView, enableRealtime)
  const asked = { enabled: !enableRealtime, retry: false, networkMode: 'always' } as const
  const client = useQueryClient()
  const keyOf = (what: string) => ['tidemark', url, 'agents', what]
  const agents = useQuery({ ...asked, queryKey: keyOf('agents'), queryFn: () => readAgents(tidemark) })
  const executions = useQuery({ ...asked, queryKey: keyOf('executions'), queryFn: () => readExecutions(tidemark) })
  const metrics = useQuery({ ...asked, enabled: true, queryKey: keyOf('metrics'), queryFn: () => readMetrics(tidemark) })
  const [refetchAgents, refetchExecutions, refetchMetrics] = [agents.refetch, executions.refetch, metrics.refetch]

  const actions = useMemo((): SupabaseAgentActions => {
    const refreshAgents = async () => void (await (enableRealtime ? agentsView.refresh() : refetchAgents()))
    const refreshExecutions = async () => void (await (enableRealtime ? executionsView.refresh() : refetchExecutions()))
    const refreshMetrics = async () => void (await refetchMetrics())
    const refresh = async () => void (await Promise.all([refreshAgents(), refreshExecutions(), refreshMetrics()]))
    return { refresh, refreshAgents, refreshExecutions, refreshMetrics }
  }, [enableRealtime, agentsView, executionsView, refetchAgents, refetchExecutions, refetchMetrics])

  // What one user was shown is not shown to the next: live rows see to that themselves.
  useEffect(
    () =>
      followUser(
        tidemark.supabase as unknown as SupabaseClient,
        () => void client.resetQueries({ queryKey: ['tidemark', url, 'agents'] }),
      ),
    [tidemark, client, url],
  )

  useEffect(() => {
    const timer = setInterval(() => {
      if (isSeen()) void actions.refresh()
    }, refreshInterval)
    return () => clearInterval(timer)
  }, [actions, refreshInterval])

  const live = enableRealtime
  return {
    agents: live ? liveAgents.rows : (agents.data ?? nothing),
    executions: live ? liveExecutions.rows : (executions.data ?? nothing),
    metrics: metrics.data ?? nothing,
    loading:
      metrics.isPending || (live ? liveAgents.isLoading || liveExecutions.isLoading : agents.isPending || executions.isPending),
    error: (live ? (liveAgents.error ?? liveExecutions.error) : (agents.error ?? executions.error)) ?? metrics.error ?? null,
    actions,
  }
}
