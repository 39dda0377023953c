import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthAnswer } from '../auth/answer.js'
import type { AuthContext, AuthRequest } from '../auth/auth-context.js'
import { AuthError, errorBody, errorFormOf, isAuthError } from '../auth/auth-error.js'
import type { Caller } from '../auth/caller.js'
import { ApiKeyError } from '../auth/find-caller.js'
import * as admin from '../auth/flows/admin-users.js'
import { exchangeCode } from '../auth/flows/exchange-code.js'
import { generateLink, inviteUser } from '../auth/flows/generate-link.js'
import { logOut } from '../auth/flows/log-out.js'
import { sendOneTimePassword } from '../auth/flows/one-time-password.js'
import { showPublicKeys, showSettings } from '../auth/flows/public.js'
import { resendCode, sendReauthentication, sendRecovery } from '../auth/flows/recover.js'
import { refreshSession } from '../auth/flows/refresh.js'
import { signInWithPassword } from '../auth/flows/sign-in.js'
import { signUp } from '../auth/flows/sign-up.js'
import { type SignedIn, signedInOf } from '../auth/flows/signed-in.js'
import { updateOwnUser } from '../auth/flows/update-user.js'
import { verifyCode, verifyLink } from '../auth/flows/verify.js'
import type { Callers } from '../auth/open-callers.js'
import { redirectOf } from '../auth/redirects.js'
import { isTokenError, type TokenError } from '../auth/token-error.js'
import { userBody } from '../auth/user.js'
import { isTidemarkError, reasonOf } from '../errors.js'
import type { Logger } from '../observability/observability.js'
import { addAbsentAuthRoutes } from './auth-routes-absent.js'
import { allowCrossOrigin } from './cors.js'

export interface AuthRoutesOptions {
  /** Raises TM_SERVER_STARTING, or AuthError where this server has no users of its own. */
  context(): AuthContext
  readonly callers: Callers
  readonly log: Logger
  readonly version: string
  /** A header in which a proxy gives the address of the client. */
  readonly ipHeader?: string | undefined
}

const versionHeader = 'x-supabase-api-version'
const maxBodyBytes = 64 * 1024

const headerOf = ({ headers }: FastifyRequest, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value.at(-1) : value
}

const queryOf = ({ query }: FastifyRequest): Readonly<Record<string, unknown>> => query as Readonly<Record<string, unknown>>

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What the golang-jwt library says, which clients of GoTrue may have seen before. */
const tokenWords = ({ reason, message }: TokenError): string => {
  switch (reason) {
    case 'empty':
    case 'malformed':
      return 'token is malformed: token contains an invalid number of segments'
    case 'signature':
      return 'token signature is invalid: signature is invalid'
    case 'expired':
      return 'token has invalid claims: token is expired'
    case 'notYetValid':
      return 'token has invalid claims: token is not valid yet'
    case 'issuedInFuture':
      return 'token has invalid claims: token used before issued'
    default:
      return `token is unverifiable: ${message}`
  }
}

const statusOf = (error: unknown): number | undefined => {
  const status = (error as { readonly statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** Whatever was thrown, as GoTrue would answer it. What happened inside is for the log alone. */
const toAuthError = (error: unknown): AuthError => {
  if (isAuthError(error)) return error
  if (isTokenError(error))
    return new AuthError(403, 'bad_jwt', `invalid JWT: unable to parse or verify signature, ${tokenWords(error)}`, {
      cause: error,
    })
  // Clients take 503 as a reason to try again.
  if (isTidemarkError(error) && error.httpStatus === 503)
    return new AuthError(503, 'unexpected_failure', 'Service temporarily unavailable', { cause: error, retryAfterSeconds: 1 })
  const status = isTidemarkError(error) ? undefined : statusOf(error)
  if (status !== undefined) return new AuthError(status, 'validation_failed', reasonOf(error), { cause: error })
  const message = 'Unexpected failure, please check server logs for more information'
  return new AuthError(500, 'unexpected_failure', message, { cause: error })
}

/** The token in a header that carries one. */
const hasBearer = (request: FastifyRequest): boolean => /^bearer +\S+$/i.test(request.headers.authorization ?? '')

const adminRoles: readonly string[] = ['service_role', 'supabase_admin']

/** `/auth/v1`: what GoTrue answers, as far as its clients ask it for. */
export const addAuthRoutes = async (app: FastifyInstance, options: AuthRoutesOptions): Promise<void> => {
  const { callers, log, ipHeader } = options

  const requestOf = (request: FastifyRequest): AuthRequest => {
    const forwarded = ipHeader === undefined ? undefined : headerOf(request, ipHeader.toLowerCase())?.split(',').at(-1)?.trim()
    const wishes = [headerOf(request, 'redirect_to'), textOf(queryOf(request)['redirect_to']), headerOf(request, 'referer')]
    return {
      ip: forwarded || request.ip,
      userAgent: request.headers['user-agent'],
      redirectTo: redirectOf(wishes, options.context().settings),
    }
  }

  const callerOf = (request: FastifyRequest): Promise<Caller> =>
    callers.findCaller({
      apikey: headerOf(request, 'apikey') ?? (textOf(queryOf(request)['apikey']) || undefined),
      authorization: request.headers.authorization,
    })

  /** A wrong key is refused everywhere; whose the token is matters where somebody has to be signed in only. */
  const checkApiKey = async (request: FastifyRequest): Promise<void> => {
    const apikey = headerOf(request, 'apikey') ?? (textOf(queryOf(request)['apikey']) || undefined)
    await callers.findCaller({ apikey })
  }

  const signedIn = async (request: FastifyRequest): Promise<SignedIn> => {
    if (!hasBearer(request)) throw new AuthError(401, 'no_authorization', 'This endpoint requires a Bearer token')
    return signedInOf(options.context(), await callerOf(request))
  }

  const requireAdmin = async (request: FastifyRequest): Promise<void> => {
    if (!hasBearer(request) && headerOf(request, 'apikey') === undefined)
      throw new AuthError(401, 'no_authorization', 'This endpoint requires a Bearer token')
    const { role } = await callerOf(request)
    if (!adminRoles.includes(role)) throw new AuthError(403, 'not_admin', 'User not allowed')
  }

  const send = (reply: FastifyReply, { status = 200, body, headers = {} }: AuthAnswer): FastifyReply => {
    reply.status(status).headers(headers)
    return body === undefined ? reply.send() : reply.send(body)
  }

  const sendError = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (thrown instanceof ApiKeyError) return reply.status(401).send(thrown.toJSON())
    const error = toAuthError(thrown)
    if (error.status >= 500) {
      const path = request.routeOptions.url ?? 'none'
      log.error('a request of auth failed', { requestId: request.id, method: request.method, path, err: error.cause ?? error })
    }
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds))
    reply.header('x-sb-error-code', error.code)
    return reply.status(error.status).send(errorBody(error, errorFormOf(headerOf(request, versionHeader))))
  }

  type Flow = (context: AuthContext, body: unknown, request: AuthRequest) => Promise<AuthAnswer> | AuthAnswer

  /** For anybody with a key of the project. */
  const open =
    (flow: Flow, { checked = true, body = (request: FastifyRequest): unknown => request.body } = {}) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const context = options.context()
      if (checked) await checkApiKey(request)
      return send(reply, await flow(context, body(request), requestOf(request)))
    }

  const forUser =
    (flow: (context: AuthContext, signedIn: SignedIn, body: unknown, request: AuthRequest) => Promise<AuthAnswer> | AuthAnswer) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const context = options.context()
      return send(reply, await flow(context, await signedIn(request), request.body, requestOf(request)))
    }

  const forAdmin =
    (flow: (context: AuthContext, request: FastifyRequest, asked: AuthRequest) => Promise<AuthAnswer>) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const context = options.context()
      await requireAdmin(request)
      return send(reply, await flow(context, request, requestOf(request)))
    }

  const token: Flow = (context, body, request) => {
    const { grant, given } = body as { readonly grant: string; readonly given: unknown }
    switch (grant) {
      case 'password':
        return signInWithPassword(context, given, request)
      case 'refresh_token':
        return refreshSession(context, given, request)
      case 'pkce':
        return exchangeCode(context, given, request)
      case 'id_token':
        throw new AuthError(400, 'provider_disabled', 'Sign-in with an id_token is not enabled')
      case 'web3':
        throw new AuthError(422, 'web3_provider_disabled', 'Web3 provider is disabled')
      default:
        throw new AuthError(400, 'invalid_credentials', 'unsupported_grant_type')
    }
  }

  const idOf = (request: FastifyRequest): string => (request.params as { readonly id: string }).id

  const addPublicRoutes = (auth: FastifyInstance): void => {
    const query = { body: queryOf }
    auth.get('/health', async () => ({
      version: options.version,
      name: 'Tidemark',
      description: 'Users and sessions of this project',
    }))
    auth.get('/.well-known/jwks.json', open(showPublicKeys, { checked: false }))
    auth.get('/settings', open(showSettings))
    auth.post('/signup', open(signUp))
    const grant = { body: (request: FastifyRequest) => ({ grant: textOf(queryOf(request)['grant_type']), given: request.body }) }
    auth.post('/token', open(token, grant))
    auth.post('/otp', open(sendOneTimePassword))
    auth.post('/magiclink', open(sendOneTimePassword))
    auth.post('/recover', open(sendRecovery))
    auth.post('/resend', open(resendCode))
    auth.post('/verify', open(verifyCode))
    // A link in a mail brings no key along.
    auth.get('/verify', open(verifyLink, { ...query, checked: false }))
  }

  const addUserRoutes = (auth: FastifyInstance): void => {
    auth.get(
      '/user',
      forUser((_context, { user }) => ({ body: userBody(user) })),
    )
    auth.put('/user', forUser(updateOwnUser))
    auth.get(
      '/reauthenticate',
      forUser((context, { user }, _body, request) => sendReauthentication(context, user, request)),
    )
    auth.post('/logout', async (request, reply) => {
      const context = options.context()
      const who = await signedIn(request)
      return send(reply, await logOut(context, who, textOf(queryOf(request)['scope']), requestOf(request)))
    })
  }

  const addAdminUserRoutes = (auth: FastifyInstance): void => {
    auth.post(
      '/invite',
      forAdmin((context, { body }, asked) => inviteUser(context, body, asked)),
    )
    auth.post(
      '/admin/generate_link',
      forAdmin((context, { body }, asked) => generateLink(context, body, asked)),
    )
    auth.get(
      '/admin/users',
      forAdmin((context, request) => admin.adminListUsers(context, queryOf(request))),
    )
    auth.post(
      '/admin/users',
      forAdmin((context, { body }, asked) => admin.adminCreateUser(context, body, asked)),
    )
    auth.get(
      '/admin/users/:id',
      forAdmin((context, request) => admin.adminGetUser(context, idOf(request))),
    )
    auth.put(
      '/admin/users/:id',
      forAdmin((context, request, asked) => admin.adminUpdateUser(context, idOf(request), request.body, asked)),
    )
    auth.delete(
      '/admin/users/:id',
      forAdmin((context, request, asked) => admin.adminDeleteUser(context, idOf(request), request.body, asked)),
    )
  }

  /** GoTrue reads any body as JSON, whatever it is said to be. */
  const readAnyBodyAsJson = (auth: FastifyInstance): void => {
    const parse = auth.getDefaultJsonParser('remove', 'remove')
    auth.removeAllContentTypeParsers()
    auth.addContentTypeParser('*', { parseAs: 'string', bodyLimit: maxBodyBytes }, (request, body, done) => {
      if (body.length === 0) return done(null, {})
      return parse(request, String(body), (error, parsed) => {
        if (error) done(new AuthError(400, 'bad_json', 'Could not parse request body as JSON', { cause: error }))
        else done(null, parsed)
      })
    })
  }

  await app.register(
    async (auth) => {
      allowCrossOrigin(auth, {
        methods: ['GET', 'POST', 'PUT', 'DELETE'],
        exposedHeaders: ['X-Total-Count', 'Link', 'X-Supabase-Api-Version', 'Retry-After'],
      })
      readAnyBodyAsJson(auth)
      auth.addHook('onRequest', async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const form = errorFormOf(headerOf(request, versionHeader))
        if (form !== undefined) reply.header(versionHeader, form)
      })
      auth.setErrorHandler((error, request, reply) => sendError(error, request, reply))
      auth.setNotFoundHandler((request, reply) =>
        sendError(new AuthError(404, 'not_found', 'There is nothing here'), request, reply),
      )
      addPublicRoutes(auth)
      addUserRoutes(auth)
      addAdminUserRoutes(auth)
      addAbsentAuthRoutes(auth)
    },
    { prefix: '/auth/v1' },
  )
}
