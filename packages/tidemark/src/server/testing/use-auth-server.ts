import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { AuthClient } from '@supabase/supabase-js'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll } from 'vitest'
import { type Auth, openAuth } from '../../auth/open-auth.js'
import { type Callers, openCallers } from '../../auth/open-callers.js'
import type { CodeMessage, TidemarkConfig } from '../../config/config.js'
import { resolveConfig } from '../../config/config.js'
import { createLogger } from '../../observability/log.js'
import { createMetrics } from '../../observability/metrics.js'
import { createPools, type Pool, type Pools } from '../../postgres/postgres.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { openState, type State } from '../../state/state.js'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import type { Clock } from '../../time/clock.js'
import { addAuthRoutes } from '../auth/auth-routes.js'
import { createHttp } from '../http/http.js'

/** Hashes that take a millisecond: what is tested is what is done with them. */
const quickCost = { logN: 8, r: 8, p: 1 }

/** Clients of tests keep their session to themselves. */
export const clientOf = (url: string, key: string, storage?: Map<string, string>) =>
  new AuthClient({
    url: `${url}/auth/v1`,
    headers: { apikey: key, Authorization: `Bearer ${key}` },
    autoRefreshToken: false,
    persistSession: storage !== undefined,
    ...(storage && {
      flowType: 'pkce' as const,
      storage: {
        getItem: (name: string) => storage.get(name) ?? null,
        setItem: (name: string, value: string) => void storage.set(name, value),
        removeItem: (name: string) => void storage.delete(name),
      },
    }),
  })

export interface AuthServer {
  readonly url: string
  readonly anon: string
  readonly service: string
  readonly auth: Auth
  readonly callers: Callers
  readonly pool: Pool
  readonly databaseUrl: string
  readonly state: State
  /** What would have been sent, the latest last. */
  readonly sent: CodeMessage[]
  /** Everything that was logged, as text. */
  readonly logged: string[]
  /** With the anon key. */
  client(): InstanceType<typeof AuthClient>
  admin(): InstanceType<typeof AuthClient>['admin']
}

export interface AuthServerOptions {
  readonly env?: Record<string, string>
  readonly clock?: Clock
  /** Without it nothing can be sent. */
  readonly sends?: boolean
  readonly prepare?: (config: TidemarkConfig) => TidemarkConfig
}

/** What is not tested should not be slowed down by limits. */
const wideLimits = Object.fromEntries(
  ['SIGN_INS_PER_IP', 'REFRESHES_PER_IP', 'CODES_PER_IP', 'VERIFICATIONS_PER_IP', 'ANONYMOUS_PER_IP', 'FAILURES_PER_ACCOUNT'].map(
    (name) => [`TIDEMARK_AUTH_LIMITS_${name}`, '100000'],
  ),
)

let count = 0

/** A server of `/auth/v1` on a database of its own, for the tests of a file. */
export const useAuthServer = ({
  env = {},
  clock,
  sends = true,
  prepare = (config) => config,
}: AuthServerOptions = {}): AuthServer => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const folder = useFolder('auth-server')
  const number = count++
  const parts = { sent: [] as CodeMessage[], logged: [] as string[], databaseUrl: database.url } as unknown as {
    -readonly [K in keyof AuthServer]: AuthServer[K]
  }
  let app: FastifyInstance
  let pools: Pools

  beforeAll(async () => {
    const sendCode = async (message: CodeMessage) => void parts.sent.push(message)
    const base = resolveConfig({
      env: { ENV: 'production', TIDEMARK_AUTH_CODE_PAUSE_MS: '0', ...wideLimits, ...env },
      cwd: folder,
    })
    const config = prepare({ ...base, auth: { ...base.auth, ...(sends && { sendCode }) } })
    const log = createLogger({ level: 'debug', destination: { write: (line: string) => void parts.logged.push(line) } as never })
    parts.state = await openState(join(folder, `state-${number}`))
    parts.callers = openCallers(config, parts.state, clock)
    pools = createPools({ url: database.url, authUrl: testUrl(database.url, 'auth') })
    parts.pool = pools.auth!
    app = await createHttp({ log, metrics: createMetrics() })
    await addAuthRoutes(app, {
      context: () => parts.auth.context,
      callers: parts.callers,
      log,
      version: '0',
      ipHeader: config.auth.ipHeader,
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    parts.url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    parts.auth = openAuth({
      config,
      state: parts.state,
      log,
      pool: parts.pool,
      keyring: parts.callers.keyring!,
      url: parts.url,
      embedded: false,
      passwords: { cost: quickCost },
      ...(clock && { clock }),
    })
    const { apiKeys } = await parts.callers.keyring!.current()
    parts.anon = apiKeys.anon
    parts.service = apiKeys.service
    parts.client = () => clientOf(parts.url, parts.anon)
    parts.admin = () => clientOf(parts.url, parts.service).admin
  })
  afterAll(async () => {
    await parts.auth?.stop()
    await app?.close()
    await pools?.stop()
  })
  return parts
}
