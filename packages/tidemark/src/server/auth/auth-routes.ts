import type { FastifyInstance } from 'fastify'
import type { AuthAnswer } from '../../auth/answer.js'
import { AuthError, errorFormOf } from '../../auth/auth-error.js'
import * as admin from '../../auth/flows/admin-users.js'
import { exchangeCode } from '../../auth/flows/exchange-code.js'
import { generateLink, inviteUser } from '../../auth/flows/generate-link.js'
import { refuseIdToken } from '../../auth/flows/id-token.js'
import { logOut } from '../../auth/flows/log-out.js'
import { sendOneTimePassword } from '../../auth/flows/one-time-password.js'
import { showPublicKeys, showSettings } from '../../auth/flows/public.js'
import { resendCode, sendReauthentication, sendRecovery } from '../../auth/flows/recover.js'
import { refreshSession } from '../../auth/flows/refresh.js'
import { signInWithPassword } from '../../auth/flows/sign-in.js'
import { signUp } from '../../auth/flows/sign-up.js'
import { updateOwnUser } from '../../auth/flows/update-user.js'
import { verifyCode, verifyLink } from '../../auth/flows/verify.js'
import { userBody } from '../../auth/user.js'
import type { Logger } from '../../observability/observability.js'
import { allowCrossOrigin } from '../http/cors.js'
import { headerOf, sendAuthError, versionHeader } from './auth-answers.js'
import { AuthDoor, type AuthDoorOptions, type Flow, textOf } from './auth-door.js'
import { addAbsentAuthRoutes } from './auth-routes-absent.js'

export interface AuthRoutesOptions extends AuthDoorOptions {
  readonly log: Logger
  readonly version: string
}

const maxBodyBytes = 64 * 1024

/** `POST /token`, by what it is asked for with. */
const grantToken: Flow = (context, { query, body, request }): Promise<AuthAnswer> => {
  switch (textOf(query['grant_type'])) {
    case 'password':
      return signInWithPassword(context, body, request)
    case 'refresh_token':
      return refreshSession(context, body, request)
    case 'pkce':
      return exchangeCode(context, body, request)
    case 'id_token':
      throw refuseIdToken(body)
    case 'web3':
      throw new AuthError(422, 'web3_provider_disabled', 'Web3 provider is disabled')
    default:
      throw new AuthError(400, 'invalid_credentials', 'unsupported_grant_type')
  }
}

const addPublicRoutes = (auth: FastifyInstance, door: AuthDoor, version: string): void => {
  auth.get('/health', async () => ({ version, name: 'Tidemark', description: 'Users and sessions of this project' }))
  auth.get('/.well-known/jwks.json', door.forEveryone(showPublicKeys))
  auth.get(
    '/verify',
    door.forEveryone((context, { query, request }) => verifyLink(context, query, request)),
  )
  auth.get('/settings', door.forKeys(showSettings))
  auth.post(
    '/signup',
    door.forKeys((context, { body, request }) => signUp(context, body, request)),
  )
  auth.post('/token', door.forKeys(grantToken))
  auth.post(
    '/otp',
    door.forKeys((context, { body, request }) => sendOneTimePassword(context, body, request)),
  )
  auth.post(
    '/magiclink',
    door.forKeys((context, { body, request }) => sendOneTimePassword(context, body, request)),
  )
  auth.post(
    '/recover',
    door.forKeys((context, { body, request }) => sendRecovery(context, body, request)),
  )
  auth.post(
    '/resend',
    door.forKeys((context, { body, request }) => resendCode(context, body, request)),
  )
  auth.post(
    '/verify',
    door.forKeys((context, { body, request }) => verifyCode(context, body, request)),
  )
}

const addUserRoutes = (auth: FastifyInstance, door: AuthDoor): void => {
  auth.get(
    '/user',
    door.forUsers((_context, { who }) => ({ body: userBody(who.user) })),
  )
  auth.put(
    '/user',
    door.forUsers((context, { who, body, request }) => updateOwnUser(context, who, body, request)),
  )
  auth.get(
    '/reauthenticate',
    door.forUsers((context, { who, request }) => sendReauthentication(context, who.user, request)),
  )
  auth.post(
    '/logout',
    door.forUsers((context, { who, query, request }) => logOut(context, who, textOf(query['scope']), request)),
  )
}

const addAdminUserRoutes = (auth: FastifyInstance, door: AuthDoor): void => {
  const { adminCreateUser, adminDeleteUser, adminGetUser, adminListUsers, adminUpdateUser } = admin
  auth.post(
    '/invite',
    door.forAdmins((context, { body, request }) => inviteUser(context, body, request)),
  )
  auth.post(
    '/admin/generate_link',
    door.forAdmins((context, { body, request }) => generateLink(context, body, request)),
  )
  auth.get(
    '/admin/users',
    door.forAdmins((context, { query }) => adminListUsers(context, query)),
  )
  auth.post(
    '/admin/users',
    door.forAdmins((context, { body, request }) => adminCreateUser(context, body, request)),
  )
  auth.get(
    '/admin/users/:id',
    door.forAdmins((context, { id }) => adminGetUser(context, id)),
  )
  auth.put(
    '/admin/users/:id',
    door.forAdmins((context, { id, body, request }) => adminUpdateUser(context, id, body, request)),
  )
  auth.delete(
    '/admin/users/:id',
    door.forAdmins((context, { id, body, request }) => adminDeleteUser(context, id, body, request)),
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

/** `/auth/v1`: what GoTrue answers, as far as its clients ask it for. */
export const addAuthRoutes = async (app: FastifyInstance, options: AuthRoutesOptions): Promise<void> => {
  const { log, version } = options
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
      auth.setErrorHandler((error, request, reply) => sendAuthError(error, request, reply, log))
      auth.setNotFoundHandler((request, reply) =>
        sendAuthError(new AuthError(404, 'not_found', 'There is nothing here'), request, reply, log),
      )
      const door = new AuthDoor(options)
      addPublicRoutes(auth, door, version)
      addUserRoutes(auth, door)
      addAdminUserRoutes(auth, door)
      addAbsentAuthRoutes(auth, door)
    },
    { prefix: '/auth/v1' },
  )
}
