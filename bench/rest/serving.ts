// A process that serves `/rest/v1` as the server does, and beside it bare Fastify routes that run the same statements through the
// same pool. Started by bench/rest.ts, so that whoever asks does not share its thread.

import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { createFindCaller, digestOf } from '../../packages/tidemark/dist/auth/find-caller.js'
import { signApiKey } from '../../packages/tidemark/dist/auth/keys/sign-api-key.js'
import { createVerifier } from '../../packages/tidemark/dist/auth/verifier.js'
import { resolveConfig } from '../../packages/tidemark/dist/config/config.js'
import { createLogger } from '../../packages/tidemark/dist/observability/log.js'
import { createMetrics } from '../../packages/tidemark/dist/observability/metrics.js'
import {
  type BatchOptions,
  type BatchStatement,
  createNamedPool,
  type Pool,
} from '../../packages/tidemark/dist/postgres/postgres.js'
import { createRest, openCatalogue, type Rest } from '../../packages/tidemark/dist/rest/rest.js'
import { testUrl } from '../../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { createHttp } from '../../packages/tidemark/dist/server/http/http.js'
import { restSettingsOf } from '../../packages/tidemark/dist/server/rest/rest.js'
import { addRestRoutes } from '../../packages/tidemark/dist/server/rest/rest-routes.js'
import { type Case, type CaseName, caseNames, cases } from './cases.ts'

const secret = 'a secret of at least thirty-two characters'

export interface ServingAddresses {
  readonly restPort: number
  readonly barePort: number
  readonly anonKey: string
  /** Of a user who is signed in. */
  readonly token: string
}

/** What `/rest/v1` sends to Postgres for a request. */
interface Recorded {
  readonly statements: readonly BatchStatement[]
  readonly options: BatchOptions
}

/** A pool that shows what it is given. */
const recordingOver = (pool: Pool): { readonly pool: Pick<Pool, 'batch' | 'transaction'>; last(): Recorded } => {
  let last: Recorded | undefined
  return {
    pool: {
      transaction: (work, options) => pool.transaction(work, options),
      batch: (statements, options = {}) => {
        last = { statements, options }
        return pool.batch(statements, options)
      },
    },
    last: () => last!,
  }
}

const user = { role: 'authenticated', claims: { sub: '00000000-0000-4000-8000-00000000000a', aud: 'authenticated' } }

const headers = (token: string): Readonly<Record<string, string>> => ({
  authorization: `Bearer ${token}`,
  accept: 'application/json',
  'content-type': 'application/json',
  prefer: 'return=representation',
})

/** The statement of a case, with the sample where the changing part goes. */
const recordCase = async (rest: Rest, last: () => Recorded, one: Case, token: string): Promise<Recorded> => {
  const [path = '', query = ''] = one.url(one.sample).split('?')
  const body = one.body === undefined ? undefined : Buffer.from(one.body(one.sample))
  await rest.handle({ method: one.method, path, query, headers: headers(token), body }, { caller: user })
  return last()
}

const filled = (statement: BatchStatement, { sample }: Case, given: string, name: string): BatchStatement => ({
  text: statement.text,
  name,
  values: statement.values.map((value) => (typeof value === 'string' ? value.replaceAll(sample, given) : value)),
})

const addBareRoutes = (app: FastifyInstance, pool: Pool, recorded: Readonly<Record<CaseName, Recorded>>): void => {
  /** The answer is the third column of the one row. */
  const ways = {
    transaction: async (statement: BatchStatement, { readOnly, settings = [] }: BatchOptions): Promise<unknown> => {
      const { text, values, name = '' } = statement
      const options = { readOnly: readOnly === true, settings: Object.fromEntries(settings) }
      const { rows } = await pool.transaction((client) => client.query(text, values, { name }), options)
      return Object.values(rows[0]!)[2]
    },
    batch: async (statement: BatchStatement, options: BatchOptions): Promise<unknown> => {
      const { readOnly = false, settings = [] } = options
      return (await pool.batch([statement], { readOnly, settings }))[0]!.rows[0]![2]
    },
    statement: async ({ text, values, name = '' }: BatchStatement): Promise<unknown> => {
      const { rows } = await pool.query(text, values, { name })
      return Object.values(rows[0]!)[2]
    },
  } as const
  for (const [way, run] of Object.entries(ways)) {
    for (const name of caseNames) {
      const one: Case = cases[name]
      const { statements, options } = recorded[name]
      const [statement] = statements
      app.route<{ Querystring: { given?: string }; Body: { text?: string } | undefined }>({
        method: one.method,
        url: `/${way}/${name}`,
        handler: async ({ query, body }, reply) => {
          const asked = filled(statement!, one, body?.text ?? query.given ?? '', `bare ${name}`)
          const text = await run(asked, options)
          return reply
            .code(one.method === 'POST' ? 201 : 200)
            .type('application/json; charset=utf-8')
            .send(text)
        },
      })
    }
  }
  app.get('/cpu', async () => process.cpuUsage())
}

const { REST_BENCH: url } = process.env
if (url === undefined) throw new Error('REST_BENCH is not set: this is started by bench/rest.ts')

const config = resolveConfig({ env: {} })
const pool = createNamedPool('rest', { url: testUrl(url, 'authenticator'), pools: { rest: config.postgres.rest } })
const catalogue = openCatalogue({ pool, schemas: ['public'], pollMs: 3_600_000 })
await catalogue.ready()
const settings = { ...restSettingsOf(config), schemas: ['public'] }
// Lines are made as in production, and written nowhere.
const log = createLogger({ level: 'info', destination: { write: () => undefined } })
const issuedAt = Math.floor(Date.now() / 1000)
const anonKey = await signApiKey('anon', secret, issuedAt)
const { SignJWT } = createRequire(import.meta.resolve('../../packages/tidemark/dist/auth/verifier.js'))('jose')
const token: string = await new SignJWT({ ...user.claims, role: user.role })
  .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
  .setIssuedAt()
  .setExpirationTime('12h')
  .sign(new TextEncoder().encode(secret))

const recording = recordingOver(pool)
const recorder = createRest({ pool: recording.pool, catalogue, settings, log })
const recorded: Partial<Record<CaseName, Recorded>> = {}
for (const name of caseNames) recorded[name] = await recordCase(recorder, recording.last, cases[name], token)

const app = await createHttp({ log, metrics: createMetrics() })
const rest = createRest({ pool, catalogue, settings, log })
await addRestRoutes(app, {
  rest: () => rest,
  findCaller: createFindCaller({
    verifier: createVerifier({ keys: { secrets: [secret], publicKeys: [] } }),
    keys: () => [{ digest: digestOf(anonKey), role: 'anon' }],
  }),
  log,
  maxBodyBytes: settings.maxBodyBytes,
  sendTimeoutMs: 30_000,
})
const bare: FastifyInstance = createRequire(import.meta.resolve('../../packages/tidemark/dist/server/http/http.js'))('fastify')()
addBareRoutes(bare, pool, recorded as Record<CaseName, Recorded>)
for (const one of [app, bare]) await one.listen({ host: '127.0.0.1', port: 0 })
const portOf = ({ server }: FastifyInstance): number => (server.address() as AddressInfo).port
const addresses: ServingAddresses = { restPort: portOf(app), barePort: portOf(bare), anonKey, token }
process.stdout.write(`${JSON.stringify(addresses)}\n`)
process.once('SIGTERM', async () => {
  await Promise.all([app.close(), bare.close()])
  await catalogue.stop()
  await pool.stop()
  process.exit(0)
})
