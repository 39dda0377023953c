import type { AddressInfo } from 'node:net'
import { PostgrestClient } from '@supabase/postgrest-js'
import type { FastifyInstance } from 'fastify'
import { SignJWT } from 'jose'
import { afterAll, beforeAll } from 'vitest'
import type { Caller } from '../../auth/caller.js'
import { createFindCaller, digestOf } from '../../auth/find-caller.js'
import { signApiKey } from '../../auth/keys/sign-api-key.js'
import { createVerifier } from '../../auth/verifier.js'
import { resolveConfig } from '../../config/config.js'
import { createLogger } from '../../observability/log.js'
import { createMetrics } from '../../observability/metrics.js'
import { createNamedPool, type Pool } from '../../postgres/postgres.js'
import { type OpenCatalogue, openCatalogue } from '../../rest/catalogue/open-catalogue.js'
import { createRest, type RestSettings } from '../../rest/rest.js'
import { libraryTemplate, users } from '../../rest/testing/use-library.js'
import { testUrl } from '../../schema/testing/bootstrapped-template.js'
import type { TestTemplate } from '../../testing/postgres/database.js'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { createHttp } from '../http/http.js'
import { restSettingsOf } from '../rest/rest.js'
import { addRestRoutes, type RestPositions } from '../rest/rest-routes.js'

const secret = 'a secret of at least thirty-two characters'

export type LibraryClient = PostgrestClient<never, { PostgrestVersion: '13' }, 'api'>

export interface RestServer {
  readonly url: string
  readonly keys: Readonly<Record<'anon' | 'service', string>>
  readonly databaseUrl: string
  readonly pool: Pool
  readonly catalogue: OpenCatalogue
  readonly app: FastifyInstance
  /** Everything that was logged, as text. */
  readonly logged: readonly string[]
  token(claims: Readonly<Record<string, unknown>>): Promise<string>
  /** A client of postgrest-js: with no key, with one of the project's, or signed in. */
  client(as: 'nobody' | 'anon' | 'service' | 'ann' | 'bob'): Promise<LibraryClient>
  /** Of whoever has that role and those claims. */
  clientOf(caller: Caller): Promise<LibraryClient>
}

export interface RestServerOptions {
  /** Default: the library. */
  readonly template?: TestTemplate
  /** The one that is served. Default `api`. */
  readonly schema?: string
  readonly settings?: Partial<RestSettings>
  readonly sendTimeoutMs?: number
  /** How long a request waits for a connection. Default that of the pool. */
  readonly acquireTimeoutMs?: number
  readonly positions?: RestPositions
  /** Called with the superuser's connection string before anything is read. */
  readonly prepare?: (url: string) => Promise<void>
}

/** A server of `/rest/v1` over the library or another schema, for the tests of a file. */
export const useRestServer = ({
  template = libraryTemplate,
  schema = 'api',
  settings = {},
  sendTimeoutMs = 5_000,
  acquireTimeoutMs,
  positions,
  prepare,
}: RestServerOptions = {}): RestServer => {
  const database = useDatabase({ template })
  const logged: string[] = []
  const parts = { logged, databaseUrl: database.url } as unknown as { -readonly [K in keyof RestServer]: RestServer[K] }

  const clientWith = (headers: Record<string, string>): LibraryClient =>
    new PostgrestClient(`${parts.url}/rest/v1`, { headers, schema }) as unknown as LibraryClient

  parts.token = (claims) =>
    new SignJWT({ aud: 'authenticated', ...claims })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(secret))

  parts.client = async (as) => {
    const key = as === 'nobody' ? undefined : as === 'service' ? parts.keys.service : parts.keys.anon
    const bearer = as === 'ann' || as === 'bob' ? await parts.token({ ...users[as].claims, role: users[as].role }) : key
    return clientWith(key === undefined ? {} : { apikey: key, authorization: `Bearer ${bearer}` })
  }
  parts.clientOf = async ({ role, claims }) => {
    const { anon, service } = parts.keys
    if (role === 'anon') return clientWith({ apikey: anon, authorization: `Bearer ${anon}` })
    if (role === 'service_role') return clientWith({ apikey: service, authorization: `Bearer ${service}` })
    return clientWith({ apikey: anon, authorization: `Bearer ${await parts.token({ ...claims, role })}` })
  }

  beforeAll(async () => {
    await prepare?.(database.url)
    const config = resolveConfig({ env: {} })
    const log = createLogger({ level: 'debug', destination: { write: (line: string) => void logged.push(line) } as never })
    const sizes = { minConnections: 0, ...(acquireTimeoutMs !== undefined && { acquireTimeoutMs }) }
    parts.pool = createNamedPool('rest', { url: testUrl(database.url, 'authenticator'), pools: { rest: sizes } })
    parts.catalogue = openCatalogue({ pool: parts.pool, schemas: [schema], pollMs: 60_000 })
    await parts.catalogue.ready()
    const all = { ...restSettingsOf(config), schemas: [schema], plans: true, ...settings }
    const rest = createRest({ pool: parts.pool, catalogue: parts.catalogue, settings: all, log })
    const issuedAt = Math.floor(Date.now() / 1000)
    parts.keys = {
      anon: await signApiKey('anon', secret, issuedAt),
      service: await signApiKey('service_role', secret, issuedAt),
    }
    const known = [
      { digest: digestOf(parts.keys.anon), role: 'anon' },
      { digest: digestOf(parts.keys.service), role: 'service_role' },
    ]
    const verifier = createVerifier({ keys: { secrets: [secret], publicKeys: [] } })
    parts.app = await createHttp({ log, metrics: createMetrics() })
    await addRestRoutes(parts.app, {
      rest: () => rest,
      findCaller: createFindCaller({ verifier, keys: () => known }),
      log,
      maxBodyBytes: all.maxBodyBytes,
      sendTimeoutMs,
      ...(positions && { positions }),
    })
    await parts.app.listen({ host: '127.0.0.1', port: 0 })
    parts.url = `http://127.0.0.1:${(parts.app.server.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    await parts.app?.close()
    await parts.catalogue?.stop()
    await parts.pool?.stop()
  })
  return parts
}
