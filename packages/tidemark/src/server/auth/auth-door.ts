import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AuthAnswer } from '../../auth/answer.js'
import type { AuthContext, AuthRequest } from '../../auth/auth-context.js'
import { AuthError } from '../../auth/auth-error.js'
import type { Caller } from '../../auth/caller.js'
import { type SignedIn, signedInOf } from '../../auth/flows/signed-in.js'
import type { Callers } from '../../auth/open-callers.js'
import { redirectOf } from '../../auth/redirects.js'
import { senderOf } from '../http/sender-of.js'
import { headerOf, sendAnswer } from './auth-answers.js'

export interface AuthDoorOptions {
  /** Raises TM_SERVER_STARTING, or AuthError where this server has no users of its own. */
  context(): AuthContext
  readonly callers: Callers
  /** A header in which a proxy gives the address of the client. */
  readonly ipHeader?: string | undefined
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>
type Answer = Promise<AuthAnswer> | AuthAnswer

/** What a flow gets: who asks with what, besides the context. */
export interface Asked<Who = undefined> {
  readonly request: AuthRequest
  readonly body: unknown
  readonly query: Readonly<Record<string, unknown>>
  /** Of the path. */
  readonly id: string
  readonly who: Who
}

export type Flow<Who = undefined> = (context: AuthContext, asked: Asked<Who>) => Answer

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const queryOf = ({ query }: FastifyRequest): Readonly<Record<string, unknown>> => query as Readonly<Record<string, unknown>>

const hasBearer = ({ headers }: FastifyRequest): boolean => /^bearer +\S+$/i.test(headers.authorization ?? '')

const noBearer = (): AuthError => new AuthError(401, 'no_authorization', 'This endpoint requires a Bearer token')

const adminRoles: readonly string[] = ['service_role', 'supabase_admin']

/** Lets requests in to flows, by what they bring along. */
export class AuthDoor {
  readonly #options: AuthDoorOptions

  constructor(options: AuthDoorOptions) {
    this.#options = options
  }

  /** For links in mails and the like, which bring no key along. */
  forEveryone(flow: Flow): Handler {
    return (request, reply) => this.#answer(request, reply, flow, undefined)
  }

  /** For anybody with a key of the project. Whose the bearer token is does not matter: it may well have expired. */
  forKeys(flow: Flow): Handler {
    return async (request, reply) => {
      const context = this.#options.context()
      await this.#options.callers.findCaller({ apikey: this.#apikeyOf(request) })
      return this.#answer(request, reply, flow, undefined, context)
    }
  }

  /** For who is signed in. */
  forUsers(flow: Flow<SignedIn>): Handler {
    return async (request, reply) => {
      const context = this.#options.context()
      if (!hasBearer(request)) throw noBearer()
      const who = await signedInOf(context, await this.#callerOf(request))
      return this.#answer(request, reply, flow, who, context)
    }
  }

  /** For who holds a service key. */
  forAdmins(flow: Flow): Handler {
    return async (request, reply) => {
      const context = this.#options.context()
      if (!hasBearer(request) && this.#apikeyOf(request) === undefined) throw noBearer()
      const { role } = await this.#callerOf(request)
      if (!adminRoles.includes(role)) throw new AuthError(403, 'not_admin', 'User not allowed')
      return this.#answer(request, reply, flow, undefined, context)
    }
  }

  async #answer<Who>(
    request: FastifyRequest,
    reply: FastifyReply,
    flow: Flow<Who>,
    who: Who,
    context = this.#options.context(),
  ): Promise<FastifyReply> {
    const { id = '' } = request.params as { readonly id?: string }
    const asked = { request: this.#requestOf(request, context), body: request.body, query: queryOf(request), id, who }
    return sendAnswer(reply, await flow(context, asked))
  }

  #requestOf(request: FastifyRequest, { settings }: AuthContext): AuthRequest {
    const wishes = [headerOf(request, 'redirect_to'), textOf(queryOf(request)['redirect_to']), headerOf(request, 'referer')]
    return {
      ip: senderOf(request, this.#options.ipHeader),
      userAgent: request.headers['user-agent'],
      redirectTo: redirectOf(wishes, settings),
    }
  }

  #apikeyOf(request: FastifyRequest): string | undefined {
    return headerOf(request, 'apikey') ?? (textOf(queryOf(request)['apikey']) || undefined)
  }

  #callerOf(request: FastifyRequest): Promise<Caller> {
    return this.#options.callers.findCaller({
      apikey: this.#apikeyOf(request),
      authorization: request.headers.authorization,
    })
  }
}
