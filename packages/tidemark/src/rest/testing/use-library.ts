import { afterAll, beforeAll } from 'vitest'
import type { Caller } from '../../auth/caller.js'
import { createPools, type Pool, type Pools } from '../../postgres/postgres.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../../schema/testing/bootstrapped-template.js'
import type { TestTemplate } from '../../testing/postgres/database.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { RestResult } from '../answer/answer.js'
import { readCatalogue } from '../catalogue/read-catalogue.js'
import type { Catalogue } from '../catalogue.js'
import { parseRequest, type RequestSettings, type RestHttpRequest } from '../request/request.js'
import { runStatement } from '../statement/run-statement.js'
import { createStatement, type Statement, type StatementOptions, type StatementRequest } from '../statement/statement.js'
import { StatementNames } from '../statement/statement-names.js'
import { librarySchema } from './library-schema.js'

/** The library in a database of a run, under the roles of a Supabase project. */
export const libraryTemplate: TestTemplate = {
  name: 'library',
  prepare: async (url) => {
    await bootstrappedTemplate.prepare(url)
    const admin = await connectTo(url)()
    try {
      await admin.query(librarySchema)
    } finally {
      await admin.end()
    }
  },
  ...(bootstrappedTemplate.complete && { complete: bootstrappedTemplate.complete }),
}

export const users = {
  anon: { role: 'anon', claims: {} },
  service: { role: 'service_role', claims: {} },
  ann: { role: 'authenticated', claims: { sub: '00000000-0000-4000-8000-00000000000a' } },
  bob: { role: 'authenticated', claims: { sub: '00000000-0000-4000-8000-00000000000b' } },
} as const satisfies Readonly<Record<string, Caller>>

export interface AskOptions {
  readonly as?: Caller
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: Partial<StatementOptions>
}

export interface Asked {
  readonly result: RestResult
  /** The body as JSON; as it is where it is none. */
  readonly data: unknown
  readonly statement: Statement
}

const settings: RequestSettings = {
  schemas: ['api'],
  transactionOverride: true,
  plans: true,
  root: true,
  maxBodyBytes: 10_000_000,
}

const parsed = (text: RestResult['body']): unknown => {
  if (typeof text !== 'string') return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export interface Prepared {
  readonly http: RestHttpRequest
  readonly request: StatementRequest
  readonly statement: Statement
}

/** A library of this test file's own, and a way to ask it without HTTP. A request is written on one line: `GET /books?id=eq.1`. */
export const useLibrary = () => {
  const database = useDatabase({ template: libraryTemplate })
  const admin = useClient(database)
  const names = new StatementNames()
  let pools: Pools
  let catalogue: Catalogue
  beforeAll(async () => {
    const url = testUrl(database.url, 'authenticator')
    pools = createPools({ url, migrationUrl: url, pools: { primary: { minConnections: 0, maxConnections: 2 } } })
    await reload()
  })
  afterAll(() => (pools as Pools | undefined)?.stop(0))
  const reload = async () => {
    const read = (client: Parameters<typeof readCatalogue>[0]) =>
      readCatalogue(client, { schemas: ['api'], extraSearchPath: ['public', 'extensions'] })
    catalogue = await pools.primary.withClient(read)
  }
  const prepare = (line: string, { body, headers = {}, options = {} }: AskOptions = {}): Prepared => {
    const [method = 'GET', url = '/'] = line.split(/ (.*)/s)
    const [path = '/', query = ''] = url.split(/\?(.*)/s)
    const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
    const type = bytes ? { 'content-type': 'application/json' } : {}
    const http = { method, path, query, headers: { ...type, ...headers }, body: bytes }
    const request = parseRequest(http, settings)
    if (request.kind === 'root' || request.kind === 'options') throw new Error('no statement answers that')
    const statement = createStatement(request, { catalogue, aggregates: true, maxRows: 1000, plans: true, ...options })
    return { http, request, statement }
  }
  const ask = async (line: string, options: AskOptions = {}): Promise<Asked> => {
    const { http, request, statement } = prepare(line, options)
    const { timezone, transaction } = request.preferences
    const caller = options.as ?? users.service
    const result = await runStatement(statement, {
      pool: pools.primary,
      names,
      preRequest: undefined,
      rollback: transaction === 'rollback',
      signal: undefined,
      context: {
        caller,
        schema: 'api',
        extraSearchPath: ['public', 'extensions'],
        method: http.method,
        path: http.path,
        headers: http.headers,
        timezone,
        roleSettings: catalogue.roleSettings(caller.role),
        functionSettings: statement.settings,
        appSettings: new Map([['app.settings.name', 'library']]),
      },
    })
    return { result, data: parsed(result.body), statement }
  }
  /** What hand-written SQL of one column gives, as the superuser. */
  const sql = async (text: string): Promise<unknown> => {
    const { rows } = await admin.query<{ rows: unknown }>(
      `select coalesce(json_agg(row_to_json(q)), '[]') as rows from (${text}) q`,
    )
    return rows[0]?.rows
  }
  return {
    database,
    admin,
    sql,
    ask,
    prepare,
    reload,
    catalogue: () => catalogue,
    pool: (): Pool => pools.primary,
    get: async (path: string, options?: AskOptions) => (await ask(`GET /${path}`, options)).data,
  }
}
