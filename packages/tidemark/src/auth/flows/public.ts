import type { AuthAnswer } from '../answer.js'
import type { AuthContext } from '../auth-context.js'

/** Providers that GoTrue knows and this server leaves to it. */
const providers = [
  'apple',
  'azure',
  'bitbucket',
  'discord',
  'facebook',
  'figma',
  'fly',
  'github',
  'gitlab',
  'google',
  'kakao',
  'keycloak',
  'linkedin',
  'linkedin_oidc',
  'notion',
  'slack',
  'slack_oidc',
  'snapchat',
  'spotify',
  'twitch',
  'twitter',
  'workos',
  'x',
  'zoom',
]

/** `GET /settings`: what this server offers. */
export const showSettings = ({ settings }: AuthContext): AuthAnswer => ({
  body: {
    external: {
      anonymous_users: settings.anonymousUsers,
      ...Object.fromEntries(providers.map((name) => [name, false])),
      email: true,
      phone: true,
    },
    disable_signup: !settings.signup,
    mailer_autoconfirm: settings.autoconfirm,
    phone_autoconfirm: settings.autoconfirm,
    sms_provider: '',
    mfa_enabled: false,
    saml_enabled: false,
  },
})

/** `GET /.well-known/jwks.json`: the public keys of tokens. */
export const showPublicKeys = async ({ keyring }: AuthContext): Promise<AuthAnswer> => ({
  body: { keys: (await keyring.current()).verification.publicKeys },
  headers: { 'cache-control': 'public, max-age=600' },
})
