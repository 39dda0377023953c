/**
 * The memory recall: what is kept in memory and in Redis, and by which rows it goes. The defaults are the documented ones: a thousand of each, for five
 * minutes, the least recently used goes first. Who answers with something checks first whose it is.
 */
import { cached } from 'tidemark'
import { boardOf, findAgent, findAgentBySubject } from './repository/agents.js'
import { findApproval } from './repository/approvals.js'
import { findLead } from './repository/leads.js'
import type { Db } from './rows.js'
import { selected } from './tables.js'

export interface MemoryOptions {
  /** Of each kind. */
  readonly maxEntries: number
  readonly ttlMs: number
  readonly policy: 'lru' | 'lfu'
  /** Bytes of each kind, on each node (C35). */
  readonly maxBytes: number
  /** Leads and approvals are the same on all nodes once a write has returned. Nodes ask each other over Redis. */
  readonly linearizable: boolean
}

export const defaultMemory: MemoryOptions = {
  maxEntries: 1000,
  ttlMs: 300_000,
  policy: 'lru',
  maxBytes: 16 * 1024 ** 2,
  linearizable: false,
}

/** How many of the leads that were touched last are there from the start (R43). */
const warmLeads = 100

const latestLeads = (db: Db) =>
  selected<{ readonly id: string }>(db, 'select id from public.leads order by updated_at desc limit $1', [warmLeads])

export const engineCaches = ({ maxEntries, ttlMs, policy, maxBytes, linearizable }: MemoryOptions) => {
  const memory = { ttl: ttlMs, maxEntries, maxBytes, eviction: policy } as const
  return {
    lead: cached('lead:{id}', {
      ...memory,
      linearizable,
      from: { leads: 'id' },
      load: ({ id }, db) => findLead(db, String(id)),
      warmOnStart: latestLeads,
    }),
    approval: cached('approval:{id}', {
      ...memory,
      linearizable,
      from: { approvals: 'id' },
      load: ({ id }, db) => findApproval(db, String(id)),
    }),
    agent: cached('agent:{id}', { ...memory, from: { agents: 'id' }, load: ({ id }, db) => findAgent(db, String(id)) }),
    /** Whom a token's subject names; null where that is no agent. */
    subject: cached('agent_of:{external_id}', {
      ...memory,
      from: { agents: 'external_id' },
      load: async ({ external_id }, db) => (await findAgentBySubject(db, String(external_id)))?.id ?? null,
    }),
    /** What an agent has at hand. */
    board: cached('query:board:{agent_id}', {
      ...memory,
      from: { agents: { agent_id: 'id' }, leads: { agent_id: 'assigned_agent' }, approvals: 'agent_id' },
      load: ({ agent_id }, db) => boardOf(db, String(agent_id)),
    }),
  } as const
}

export type EngineCaches = ReturnType<typeof engineCaches>
