import type { FastifyInstance, HTTPMethods } from 'fastify'
import { AuthError } from '../../auth/auth-error.js'
import type { AuthDoor } from './auth-door.js'

interface Absent {
  /** Who is told so; others are told that they may not ask. */
  readonly door: 'forEveryone' | 'forKeys' | 'forUsers' | 'forAdmins'
  readonly methods: readonly HTTPMethods[]
  readonly paths: readonly string[]
  readonly status: number
  readonly code: string
  readonly message: string
}

/** What GoTrue has and this server leaves out, with the answer of a GoTrue in which it is switched off. */
const absent: readonly Absent[] = [
  {
    door: 'forUsers',
    methods: ['POST'],
    paths: ['/factors'],
    status: 422,
    code: 'mfa_totp_enroll_not_enabled',
    message: 'MFA enroll is disabled on this server',
  },
  {
    door: 'forUsers',
    methods: ['POST'],
    paths: ['/factors/:factor/challenge', '/factors/:factor/verify'],
    status: 422,
    code: 'mfa_totp_verify_not_enabled',
    message: 'MFA verification is disabled on this server',
  },
  {
    door: 'forUsers',
    methods: ['GET', 'PUT', 'DELETE'],
    paths: ['/factors/:factor'],
    status: 404,
    code: 'mfa_factor_not_found',
    message: 'Factor not found: MFA is disabled on this server',
  },
  {
    door: 'forAdmins',
    methods: ['GET', 'PUT', 'DELETE'],
    paths: ['/admin/users/:id/factors', '/admin/users/:id/factors/:factor'],
    status: 404,
    code: 'mfa_factor_not_found',
    message: 'Factor not found: MFA is disabled on this server',
  },
  {
    door: 'forEveryone',
    methods: ['GET', 'POST'],
    paths: ['/authorize', '/callback'],
    status: 400,
    code: 'validation_failed',
    message: 'Unsupported provider: provider is not enabled',
  },
  {
    door: 'forKeys',
    methods: ['GET', 'POST'],
    paths: ['/sso', '/sso/*'],
    status: 404,
    code: 'saml_provider_disabled',
    message: 'SAML 2.0 is disabled',
  },
  {
    door: 'forAdmins',
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    paths: ['/admin/sso/*'],
    status: 404,
    code: 'saml_provider_disabled',
    message: 'SAML 2.0 is disabled',
  },
  {
    door: 'forUsers',
    methods: ['GET', 'DELETE'],
    paths: ['/user/identities/authorize', '/user/identities/:identity'],
    status: 404,
    code: 'manual_linking_disabled',
    message: 'Manual linking is disabled',
  },
  {
    door: 'forKeys',
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    paths: ['/passkeys', '/passkeys/*', '/admin/users/:id/passkeys', '/admin/users/:id/passkeys/:passkey'],
    status: 404,
    code: 'passkey_disabled',
    message: 'Passkeys are disabled on this server',
  },
  {
    door: 'forKeys',
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    paths: ['/oauth/*', '/admin/oauth/*', '/admin/custom-providers', '/admin/custom-providers/*', '/user/oauth/*'],
    status: 404,
    code: 'oauth_provider_not_supported',
    message: 'OAuth is disabled on this server',
  },
]

/** A clear refusal for each, so that nobody has to guess why something does not work. */
export const addAbsentAuthRoutes = (auth: FastifyInstance, door: AuthDoor): void => {
  for (const { door: who, methods, paths, status, code, message } of absent) {
    for (const url of paths) {
      auth.route({
        method: [...methods],
        url,
        handler: door[who](() => {
          throw new AuthError(status, code, message)
        }),
      })
    }
  }
}
