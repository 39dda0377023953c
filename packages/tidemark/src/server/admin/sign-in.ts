import { z } from 'zod'
import { isAuthError } from '../../auth/auth-error.js'
import type { Auth } from '../../auth/open-auth.js'
import { type Callers, isCloud } from '../../auth/open-callers.js'
import type { TidemarkConfig } from '../../config/config.js'
import { reasonOf, TidemarkError } from '../../errors.js'
import { roleOfClaims } from './operator.js'
import type { Session } from './session.js'

export const signInRequest = z.union([
  z.strictObject({ token: z.string().min(1).max(1024) }),
  z.strictObject({ email: z.string().min(3).max(255), password: z.string().min(1).max(1024) }),
])

export type SignInRequest = z.input<typeof signInRequest>

export interface SignInOptions {
  readonly config: TidemarkConfig
  readonly isAuthorized: (authorization: string | undefined) => boolean
  readonly callers: Callers
  /** Undefined while the server starts; `foreign` where the users of its database are another system's. */
  auth(): Auth | 'foreign' | undefined
}

interface Sender {
  readonly ip: string
  readonly userAgent: string | undefined
}

const refused = (reason: string, fix: string): TidemarkError => new TidemarkError('TM_SERVER_SIGN_IN', { reason, fix })

const byToken = (token: string, isAuthorized: SignInOptions['isAuthorized']): Pick<Session, 'name' | 'role' | 'began'> => {
  if (/^\S+$/.test(token) && isAuthorized(`Bearer ${token}`)) return { name: 'admin token', role: 'admin', began: 'token' }
  throw refused(
    'that is not the admin token of this project.',
    '`npx tidemark status --show-keys` shows it, in the folder of the project.',
  )
}

interface Login {
  readonly email: string
  readonly password: string
}

/** By the users of this server. The session that proved the password is not kept: the operator gets one of another kind. */
const ownToken = async ({ context }: Auth, login: Login, sender: Sender, { verifier }: Callers): Promise<string> => {
  const [{ signInWithPassword }, { logOut }, { signedInOf }] = await Promise.all([
    import('../../auth/flows/sign-in.js'),
    import('../../auth/flows/log-out.js'),
    import('../../auth/flows/signed-in.js'),
  ])
  const request = { ...sender, redirectTo: '' }
  const { body } = await signInWithPassword(context, login, request)
  const { access_token: token } = body as { readonly access_token: string }
  await logOut(context, await signedInOf(context, await verifier.verify(token)), 'local', request)
  return token
}

const cloudTimeoutMs = 10_000

const cloudToken = async ({ supabase }: TidemarkConfig, login: Login): Promise<string> => {
  const response = await fetch(`${supabase.url?.replace(/\/+$/, '')}/auth/v1/token?grant_type=password`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', apikey: supabase.anonKey ?? '' },
    body: JSON.stringify(login),
    signal: AbortSignal.timeout(cloudTimeoutMs),
  }).catch((cause: unknown) => {
    throw refused(`the Supabase project did not answer: ${reasonOf(cause)}`, 'Try again, or sign in with the admin token.')
  })
  const told = (await response.json().catch(() => ({}))) as { readonly access_token?: string }
  if (response.ok && told.access_token !== undefined) return told.access_token
  throw refused(
    'the Supabase project does not know this address with this password.',
    'Correct them, or sign in with the admin token.',
  )
}

const tokenOf = async (login: Login, sender: Sender, options: SignInOptions): Promise<string> => {
  if (isCloud(options.config)) return cloudToken(options.config, login)
  const auth = options.auth()
  if (auth === undefined || auth === 'foreign')
    throw refused('this server has no users of its own.', 'Sign in with the admin token.')
  try {
    return await ownToken(auth, login, sender, options.callers)
  } catch (error) {
    if (!isAuthError(error)) throw error
    throw refused(`${error.message}.`, 'Correct the address and the password, or sign in with the admin token.')
  }
}

/** Whose session begins. Raises TM_SERVER_SIGN_IN. */
export const signIn = async (
  request: z.output<typeof signInRequest>,
  sender: Sender,
  options: SignInOptions,
): Promise<Pick<Session, 'name' | 'role' | 'began'>> => {
  if ('token' in request) return byToken(request.token, options.isAuthorized)
  const { claims } = await options.callers.verifier.verify(await tokenOf(request, sender, options))
  const role = roleOfClaims(claims)
  if (role !== undefined) return { name: String(claims['email'] ?? claims['sub']), role, began: 'user' }
  throw refused('this user is no operator.', 'An admin sets app_metadata.tidemark_role of the user to viewer, operator or admin.')
}
