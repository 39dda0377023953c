/** The reads that caches answer. A cache knows no callers, so each checks whose lead it is; what is another's is not there. */
import type { Answer, OpenCache } from 'tidemark'
import { type Read, type ReadContext, readOf } from 'tidemark/app'
import type { Caller } from './access.js'
import type { Board } from './answers.js'
import type { EngineCaches } from './caches.js'
import { EngineError } from './engine-error.js'
import type { Agent, Approval, Lead } from './rows.js'

/** All raise ENGINE_NOT_FOUND. */
export interface EngineReads {
  lead(caller: Caller, id: string, context: ReadContext): Promise<Read<Lead>>
  approval(caller: Caller, id: string, context: ReadContext): Promise<Read<Approval>>
  agent(caller: Caller, id: string, context: ReadContext): Promise<Read<Agent>>
  board(caller: Caller, agentId: string, context: ReadContext): Promise<Read<Board>>
  /** Whether a lead with that agent is the caller's to see. */
  sees(caller: Caller, assignedAgent: string | null | undefined): Promise<boolean>
}

export const createCachedReads = ({ entries, position }: Pick<OpenCache<EngineCaches>, 'entries' | 'position'>): EngineReads => {
  const found = <T>(answer: Answer<T | null>): Read<T> => {
    if (answer.value === null) throw new EngineError('ENGINE_NOT_FOUND')
    return readOf({ ...answer, value: answer.value }, position())
  }

  const agentOf = async ({ sub }: Caller, context: ReadContext): Promise<string | null> =>
    sub === '' ? null : entries.subject.get({ external_id: sub }, context)

  const requireOwn = async (caller: Caller, agentId: string | null, context: ReadContext): Promise<void> => {
    if (caller.isAdmin) return
    const own = await agentOf(caller, context)
    if (own === null || own !== agentId) throw new EngineError('ENGINE_NOT_FOUND')
  }

  const lead = async (caller: Caller, id: string, context: ReadContext): Promise<Read<Lead>> => {
    const read = found(await entries.lead.lookup({ id }, context))
    await requireOwn(caller, read.value.assigned_agent, context)
    return read
  }

  return {
    lead,
    approval: async (caller, id, context) => {
      const read = found(await entries.approval.lookup({ id }, context))
      await lead(caller, read.value.lead_id, context)
      return read
    },
    agent: async (caller, id, context) => {
      await requireOwn(caller, id, context)
      return found(await entries.agent.lookup({ id }, context))
    },
    board: async (caller, id, context) => {
      await requireOwn(caller, id, context)
      return found(await entries.board.lookup({ agent_id: id }, context))
    },
    sees: async (caller, assigned) => {
      if (caller.isAdmin) return true
      const own = await agentOf(caller, {})
      return own !== null && own === assigned
    },
  }
}
