import type { FastifyRequest } from 'fastify'
import type { Replays } from 'tidemark'
import type { CallerDatabase } from 'tidemark/app'
import type { Caller } from '../access.js'
import type { Calls } from '../calls/calls.js'
import type { Routing } from '../calls/routing.js'
import { idOf } from '../input.js'
import type { Ops } from '../ops.js'
import type { TourReads } from '../reads.js'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

/** What routes work with. */
export interface RouteContext {
  readonly database: CallerDatabase
  readonly reads: TourReads
  readonly calls: Calls
  readonly ops: Ops
  /** Of webhooks. */
  readonly replays: Replays
  readonly routing: Routing | undefined
  /** Whether there is a CRM that hears of changes. */
  readonly hasCrm: boolean
}

/** The row that the address names. Raises REANNA_NOT_FOUND. */
export const idIn = (request: FastifyRequest, name = 'id'): string =>
  idOf((request.params as Readonly<Record<string, string>>)[name] ?? '')
