/** Reads that may be answered from a cache (R48). */
import { cached, type OpenCache } from 'tidemark'
import { type Read, readOf } from 'tidemark/app'
import { healthSummary } from './repository/health.js'
import { findAgent } from './repository/instances.js'
import type { AgentInstance, Db } from './repository/rows.js'
import type { HealthSummary } from './routes/answers.js'

export interface AgentReads {
  agent(agentId: string): Promise<Read<AgentInstance | null>>
  summary(): Promise<Read<HealthSummary>>
}

export const agentCaches = () => ({
  /** An agent as it is; a changed row takes it away. */
  agent: cached('agents:instance:{agent_id}', {
    ttl: '5m',
    from: { agent_instances: 'agent_id' },
    load: ({ agent_id }, db) => findAgent(db as Db, String(agent_id)),
  }),
  /** Counts over all of them. */
  summary: cached('agents:summary', { ttl: '5m', from: { agent_instances: true }, load: (_none, db) => healthSummary(db as Db) }),
})

export type AgentCaches = ReturnType<typeof agentCaches>

export const createCachedReads = ({ entries }: Pick<OpenCache<AgentCaches>, 'entries'>): AgentReads => ({
  agent: async (agentId) => readOf(await entries.agent.lookup({ agent_id: agentId })),
  summary: async () => readOf(await entries.summary.lookup({})),
})
