import type { FastifyRequest } from 'fastify'
import type { CallerDatabase } from 'tidemark/app'
import type { Caller } from '../access.js'
import { idOf } from '../input.js'
import type { LeadUpdates } from '../lead-updates.js'
import type { EngineReads } from '../reads.js'
import type { Reports } from '../repository/reports.js'
import type { Sender } from '../sending/sender.js'
import type { ServerWrites } from '../server-writes.js'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

/** Keys and tables, of what is written. */
export interface Touches {
  lead(id: string): readonly string[]
  approval(id: string): readonly string[]
  /** Where it is not known which. */
  everything(): readonly string[]
}

/** What routes work with. */
export interface RouteContext {
  readonly database: CallerDatabase
  /** For what is the server's own to do: messages that come in, settings. */
  readonly server: ServerWrites
  readonly reads: EngineReads
  readonly reports: Reports
  readonly leadUpdates: LeadUpdates
  /** Undefined where nobody carries messages. */
  readonly sender: Sender | undefined
  /** What a write of that lead touches in caches that are the same on all nodes; nothing where none are. */
  readonly touches: Touches
}

/** The row that the address names. Raises ENGINE_NOT_FOUND. */
export const idIn = (request: FastifyRequest): string => idOf((request.params as { readonly id?: string }).id ?? '')
