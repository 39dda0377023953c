import { z } from 'zod'
import { boolean, durationMs, httpUrl, integer, type Kind, secrets, separated, text } from './kinds.js'
import { option } from './option.js'

/** A one-time code on its way to whom it belongs. */
export interface CodeMessage {
  /** What it is for. `email_change_current` goes to the address so far, `email_change_new` to the one to come. */
  readonly kind:
    | 'signup'
    | 'invite'
    | 'magiclink'
    | 'recovery'
    | 'email_change_current'
    | 'email_change_new'
    | 'reauthentication'
    | 'sms'
    | 'phone_change'
  readonly channel: 'email' | 'sms' | 'whatsapp'
  /** An email address, or a phone number in E.164 without the plus. */
  readonly to: string
  readonly code: string
  /** What a click on it does: the same as the code. Absent where the code alone counts. */
  readonly link?: string
  /** For links of your own: `verifyOtp({ token_hash, type })`. */
  readonly tokenHash?: string
  readonly userId: string
  readonly expiresAt: Date
}

/** Delivers a code. A throw is answered to the client as a failure to send. */
export type SendCode = (message: CodeMessage) => Promise<void>

const sendCode: Kind<SendCode> = {
  schema: z.custom<SendCode>((value) => typeof value === 'function', { error: 'it is not a function' }),
  fromText: () => undefined,
  expected: 'a function that delivers a code: async ({ kind, to, code, link }) => { … }',
}

const scheme = /^[a-z][a-z0-9+.-]*:\/\/\S+$/i

const redirectUrls: Kind<readonly string[]> = {
  schema: z.array(
    z
      .string({ error: 'an address in it is not text' })
      .regex(scheme, { error: 'an address in it is not a URL' })
      .refine((value) => !/^(javascript|data|vbscript|file|blob):/i.test(value), {
        error: 'an address in it runs in the browser',
      }),
    { error: 'it is not a list' },
  ),
  fromText: separated,
  expected: 'URLs separated by commas, such as https://app.example.com/** (* stands for one part, ** for anything)',
  argument: 'urls',
}

const hourMs = 3_600_000

const limit = (help: string, value: number) =>
  option(integer(1, 1_000_000), { help, defaultText: `${value}; in development with the embedded Postgres 10,000` })

export const authOptions = {
  'auth.enabled': option(boolean, {
    help: 'Whether this server answers /auth/v1 where no cloud project does.',
    default: true,
  }),
  'auth.externalUrl': option(httpUrl, {
    help: 'Address under which clients reach this server: the issuer of tokens, and where links lead.',
    defaultText: 'the address that it listens on',
  }),
  'auth.siteUrl': option(httpUrl, {
    help: 'The application: where links lead that name no other allowed address.',
    defaultText: 'auth.externalUrl',
  }),
  'auth.redirectUrls': option(redirectUrls, {
    help: 'Other addresses that links may lead to. * stands for one part of a name or path, ** for anything.',
    default: [],
    defaultText: 'none',
  }),
  'auth.apiKeyRequired': option(boolean, {
    help: 'Refuses requests without an apikey, as the gateway of Supabase does. Otherwise they are anonymous.',
    default: false,
  }),
  'auth.previousJwtSecrets': option(secrets, {
    help: 'Secrets that SUPABASE_JWT_SECRET held before: what they signed still counts.',
    secret: true,
    defaultText: 'none',
  }),
  'auth.audience': option(text({ pattern: /^\S+$/, reason: 'it holds a space', expected: 'one word', argument: 'name' }), {
    help: 'Audience of tokens. A token for another one is refused.',
    default: 'authenticated',
  }),
  'auth.jwtExpirySeconds': option(integer(30, 604_800), {
    help: 'How long the access token of a session counts.',
    default: 3600,
  }),
  'auth.refreshReuseIntervalMs': option(durationMs(0, 600_000), {
    help: 'How long a used refresh token may be used again: for two tabs that refresh at once.',
    default: 10_000,
  }),
  'auth.refreshAfterLostAnswer': option(boolean, {
    help: 'Whether the refresh token before the current one is taken also later, for clients whose answer was lost. As on Supabase.',
    default: true,
  }),
  'auth.signup': option(boolean, { help: 'Whether anybody may make an account.', default: true }),
  'auth.anonymousUsers': option(boolean, { help: 'Whether users without email and password are made.', default: true }),
  'auth.autoconfirm': option(boolean, {
    help: 'Takes email addresses and phone numbers as confirmed at sign-up.',
    defaultText: 'true with the embedded Postgres, else false',
  }),
  'auth.doubleConfirmEmailChange': option(boolean, {
    help: 'A change of email is confirmed at both addresses. With auth.autoconfirm the new one is enough.',
    default: true,
  }),
  'auth.passwordMinLength': option(integer(6, 1000), { help: 'Fewest characters of a password.', default: 6 }),
  'auth.passwordMaxLength': option(integer(72, 1000), { help: 'Most characters of a password.', default: 1000 }),
  'auth.passwordChangeNeedsCode': option(boolean, {
    help: 'In a session older than a day a new password needs a code from reauthenticate().',
    default: false,
  }),
  'auth.codeTtlMs': option(durationMs(60_000, 7 * 24 * hourMs), {
    help: 'How long one-time codes and links count.',
    default: hourMs,
  }),
  'auth.codePauseMs': option(durationMs(0, hourMs), {
    help: 'Pause between two codes to the same user.',
    defaultText: '60s; in development with the embedded Postgres none',
  }),
  'auth.sendCode': option(sendCode, {
    help: 'Delivers one-time codes by mail or SMS; in a configuration file only. docs/auth.md says how.',
    env: [],
    defaultText: 'in development codes are shown by `tidemark auth codes`, else nothing is sent',
  }),
  'auth.ipHeader': option(
    text({ pattern: /^[A-Za-z0-9-]+$/, reason: 'it is not the name of a header', expected: 'the name of a header' }),
    {
      help: 'Header in which a proxy gives the address of the client, for signing in to the dashboard, too; its last entry counts. Only where the proxy sets it itself.',
      defaultText: 'none: the address of the connection',
    },
  ),
  'auth.limits.signInsPerIp': limit('Sign-ins and sign-ups of one address in 5 minutes.', 30),
  'auth.limits.refreshesPerIp': limit('Refreshes of one address in 5 minutes.', 150),
  'auth.limits.codesPerIp': limit('Codes of all kinds that one address asks for in 5 minutes.', 30),
  'auth.limits.verificationsPerIp': limit('Codes that one address tries in 5 minutes.', 30),
  'auth.limits.anonymousPerIp': limit('Anonymous users that one address makes in an hour.', 30),
  'auth.limits.failuresPerAccount': limit('Wrong passwords, and wrong codes, for one account in 15 minutes.', 20),
} as const
