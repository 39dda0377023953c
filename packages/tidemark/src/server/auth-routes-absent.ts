import type { FastifyInstance, HTTPMethods } from 'fastify'
import { AuthError } from '../auth/auth-error.js'

interface Absent {
  readonly methods: readonly HTTPMethods[]
  readonly paths: readonly string[]
  readonly status: number
  readonly code: string
  readonly message: string
}

/** What GoTrue has and this server leaves out, with the answer of a GoTrue in which it is switched off. */
const absent: readonly Absent[] = [
  {
    methods: ['POST'],
    paths: ['/factors'],
    status: 422,
    code: 'mfa_totp_enroll_not_enabled',
    message: 'MFA enroll is disabled on this server',
  },
  {
    methods: ['POST'],
    paths: ['/factors/:factor/challenge', '/factors/:factor/verify'],
    status: 422,
    code: 'mfa_totp_verify_not_enabled',
    message: 'MFA verification is disabled on this server',
  },
  {
    methods: ['GET', 'PUT', 'DELETE'],
    paths: ['/factors/:factor', '/admin/users/:id/factors', '/admin/users/:id/factors/:factor'],
    status: 404,
    code: 'mfa_factor_not_found',
    message: 'Factor not found: MFA is disabled on this server',
  },
  {
    methods: ['GET', 'POST'],
    paths: ['/authorize', '/callback'],
    status: 400,
    code: 'validation_failed',
    message: 'Unsupported provider: provider is not enabled',
  },
  {
    methods: ['GET', 'POST'],
    paths: ['/sso', '/sso/*'],
    status: 404,
    code: 'saml_provider_disabled',
    message: 'SAML 2.0 is disabled',
  },
  {
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    paths: ['/admin/sso/*'],
    status: 404,
    code: 'saml_provider_disabled',
    message: 'SAML 2.0 is disabled',
  },
  {
    methods: ['GET', 'DELETE'],
    paths: ['/user/identities/authorize', '/user/identities/:identity'],
    status: 404,
    code: 'manual_linking_disabled',
    message: 'Manual linking is disabled',
  },
  {
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    paths: ['/passkeys', '/passkeys/*', '/admin/users/:id/passkeys', '/admin/users/:id/passkeys/:passkey'],
    status: 404,
    code: 'passkey_disabled',
    message: 'Passkeys are disabled on this server',
  },
  {
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    paths: ['/oauth/*', '/admin/oauth/*', '/admin/custom-providers', '/admin/custom-providers/*', '/user/oauth/*'],
    status: 404,
    code: 'oauth_provider_not_supported',
    message: 'OAuth is disabled on this server',
  },
]

/** A clear refusal for each, so that nobody has to guess why something does not work. */
export const addAbsentAuthRoutes = (auth: FastifyInstance): void => {
  for (const { methods, paths, status, code, message } of absent) {
    for (const url of paths) {
      auth.route({
        method: [...methods],
        url,
        handler: async () => {
          throw new AuthError(status, code, message)
        },
      })
    }
  }
}
