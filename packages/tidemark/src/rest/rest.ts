import type { Caller } from '../auth/caller.js'
import { type Logger, silentLogger } from '../observability/observability.js'
import type { Pool } from '../postgres/postgres.js'
import type { RestAnswer } from './answer/answer.js'
import { errorAnswer } from './answer/error-answer.js'
import { functionOptions, relationOptions, rootOptions } from './answer/options-answer.js'
import { restAnswer, rootAnswer } from './answer/rest-answer.js'
import { findTable } from './catalogue/find-table.js'
import type { OpenCatalogue } from './catalogue/open-catalogue.js'
import { openApi, readAccess } from './catalogue/openapi.js'
import type { Catalogue, RelationName } from './catalogue.js'
import type { RestRequest } from './query.js'
import { honoured } from './request/preferences.js'
import { parseRequest, type RequestSettings, type RestHttpRequest } from './request/request.js'
import { restErrorOf } from './rest-error-of.js'
import { restErrors } from './rest-errors.js'
import { runStatement } from './statement/run-statement.js'
import { createStatement, type StatementRequest } from './statement/statement.js'
import { StatementNames } from './statement/statement-names.js'

export type { RestAnswer } from './answer/answer.js'
export { errorAnswer } from './answer/error-answer.js'
export { type OpenCatalogue, openCatalogue } from './catalogue/open-catalogue.js'
export type { RestHttpRequest } from './request/request.js'
export { RestError } from './rest-error.js'
export { restErrors } from './rest-errors.js'

export interface RestSettings extends RequestSettings {
  /** Searched after the schema of a request. */
  readonly extraSearchPath: readonly string[]
  /** Most rows of an answer, and of each list inside one; undefined: all. */
  readonly maxRows: number | undefined
  readonly aggregates: boolean
  /** A function without arguments that is called before each request, in its transaction. */
  readonly preRequest: RelationName | undefined
  /** Settings of every transaction, such as `app.settings.name`. */
  readonly appSettings: ReadonlyMap<string, string>
  /** Of this server, for the description of what there is. */
  readonly version: string
}

export interface RestOptions {
  /** Its login may become every role that callers come with. */
  readonly pool: Pick<Pool, 'batch' | 'transaction'>
  readonly catalogue: Pick<OpenCatalogue, 'answer'>
  readonly settings: RestSettings
  readonly log?: Logger
}

export interface RestContext {
  readonly caller: Caller
  /** Aborted where the caller went away: what runs for it ends. */
  readonly signal?: AbortSignal
  /** How the caller reached the server: `localhost:54321`. */
  readonly host?: string
  readonly scheme?: 'http' | 'https'
}

/** `/rest/v1`. */
export interface Rest {
  /** Answers a request, in PostgREST's form whatever happens. Raises nothing but the reason of an aborted signal. */
  handle(http: RestHttpRequest, context: RestContext): Promise<RestAnswer>
}

type RootRequest = Extract<RestRequest, { readonly kind: 'root' }>
type OptionsRequest = Extract<RestRequest, { readonly kind: 'options' }>

class PostgresRest implements Rest {
  readonly #options: RestOptions
  readonly #log: Logger
  readonly #names = new StatementNames()

  constructor(options: RestOptions) {
    this.#options = options
    this.#log = options.log ?? silentLogger
  }

  async handle(http: RestHttpRequest, context: RestContext): Promise<RestAnswer> {
    try {
      const request = parseRequest(http, this.#options.settings)
      return await this.#options.catalogue.answer((catalogue) => this.#answer(request, http, context, catalogue))
    } catch (thrown) {
      context.signal?.throwIfAborted()
      const error = restErrorOf(thrown, { anonymous: context.caller.role === 'anon' })
      if (error.status >= 500) this.#log.error('a request failed', { method: http.method, path: http.path, err: thrown })
      return errorAnswer(error)
    }
  }

  async #answer(request: RestRequest, http: RestHttpRequest, context: RestContext, catalogue: Catalogue): Promise<RestAnswer> {
    if (request.kind === 'options') return optionsAnswer(request, catalogue)
    if (request.kind === 'root') return this.#describe(request, context, catalogue)
    const preferences = honoured(request.preferences, catalogue.timezones)
    return this.#run({ ...request, preferences }, http, context, catalogue)
  }

  async #run(request: StatementRequest, http: RestHttpRequest, context: RestContext, catalogue: Catalogue): Promise<RestAnswer> {
    const { pool, settings } = this.#options
    const { caller, signal } = context
    const statement = createStatement(request, { ...settings, catalogue })
    const { transaction, timezone } = request.preferences
    const result = await runStatement(statement, {
      pool,
      signal,
      names: this.#names,
      preRequest: settings.preRequest,
      rollback: transaction === 'rollback',
      context: {
        caller,
        timezone,
        schema: request.target.schema,
        extraSearchPath: settings.extraSearchPath,
        method: http.method,
        path: http.path,
        headers: http.headers,
        roleSettings: catalogue.roleSettings(caller.role),
        functionSettings: statement.settings,
        appSettings: settings.appSettings,
      },
    })
    return restAnswer(request, result)
  }

  /** What the caller's role may see of a schema. */
  async #describe(request: RootRequest, context: RestContext, catalogue: Catalogue): Promise<RestAnswer> {
    const { pool, settings } = this.#options
    const { caller, signal, host = 'localhost', scheme = 'http' } = context
    const { schema } = request
    const asCaller = { readOnly: true, settings: { role: caller.role }, ...(signal && { signal }) }
    const access = await pool.transaction((client) => readAccess(client, schema), asCaller)
    const { version } = settings
    return rootAnswer(
      request,
      JSON.stringify(openApi({ catalogue, schema, access, version, host, scheme, basePath: '/rest/v1' })),
    )
  }
}

const optionsAnswer = ({ on, target }: OptionsRequest, catalogue: Catalogue): RestAnswer => {
  if (on === 'root') return rootOptions()
  if (on === 'relation') return relationOptions(findTable(catalogue, target.schema, target.name))
  const [found] = catalogue.functions(target.schema, target.name)
  if (!found) throw restErrors.functionNotFound({ ...target, keys: [], body: undefined, hint: null })
  return functionOptions(found)
}

/** Joins what reads a request, what makes it one statement, and what makes an answer of the outcome. */
export const createRest = (options: RestOptions): Rest => new PostgresRest(options)
