import type { Condition, Preferences, Read, RestRequest, Target } from '../query.js'
import { restErrors } from '../rest-errors.js'
import { parseAccept, type Subject } from './accept.js'
import { type BodySource, functionBody, relationBody } from './body.js'
import { parsePreferences } from './preferences.js'
import { type Parameter, parseQueryString } from './query-string.js'
import { parseRange, windowOf } from './ranges.js'
import type { ReadDraft } from './read-draft.js'
import { type QueryParameters, readParameters } from './read-tree.js'

/** A request as it came over HTTP. */
export interface RestHttpRequest {
  readonly method: string
  /** Behind `/rest/v1`, still with its escapes: ``, `/`, `/items`, `/rpc/add`. */
  readonly path: string
  /** Without the question mark, still with its escapes. */
  readonly query: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer | undefined
}

export interface RequestSettings {
  /** The exposed schemas, the default one first. */
  readonly schemas: readonly string[]
  /** Whether a caller may ask that a transaction be rolled back: `Prefer: tx=rollback`. */
  readonly transactionOverride: boolean
  /** Whether a caller may ask for the plan of a statement. */
  readonly plans: boolean
  /** Whether the root says what there is. */
  readonly root: boolean
  readonly maxBodyBytes: number
}

const headerOf = ({ headers }: RestHttpRequest, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === 'string' || value === undefined ? value : value.join(', ')
}

interface Resource {
  readonly on: Subject
  readonly name: string
}

const segmentsOf = (path: string): readonly string[] => {
  const relative = path.startsWith('/') ? path.slice(1) : path
  try {
    return relative === '' ? [] : relative.split('/', 4).map(decodeURIComponent)
  } catch {
    throw restErrors.path()
  }
}

const resourceOf = (path: string, settings: RequestSettings): Resource => {
  const [first, second, ...rest] = segmentsOf(path)
  if (first === undefined) {
    if (!settings.root) throw restErrors.rootDisabled()
    return { on: 'root', name: '' }
  }
  if (second === undefined) return { on: 'relation', name: first }
  if (first === 'rpc' && rest.length === 0) return { on: 'function', name: second }
  throw restErrors.path()
}

const methods: Readonly<Record<Subject, readonly string[]>> = {
  relation: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  function: ['GET', 'HEAD', 'POST', 'OPTIONS'],
  root: ['GET', 'HEAD', 'OPTIONS'],
}

const checkMethod = (method: string, { on }: Resource): void => {
  if (methods[on].includes(method)) return
  throw on === 'function' ? restErrors.methodOnFunction(method) : restErrors.method(method)
}

/** By the header that fits the method: writing methods say of what schema their content is. */
const schemaOf = (http: RestHttpRequest, { schemas }: RequestSettings): { schema: string; profiled: boolean } => {
  const writes = /^(POST|PUT|PATCH|DELETE)$/.test(http.method)
  const header = headerOf(http, writes ? 'content-profile' : 'accept-profile')
  if (header === undefined) return { schema: schemas[0] ?? 'public', profiled: schemas.length > 1 }
  // Headers arrive as bytes, one character each.
  const schema = Buffer.from(header, 'latin1').toString('utf8')
  if (!schemas.includes(schema)) throw restErrors.schemaNotExposed(schema, schemas)
  return { schema, profiled: true }
}

type Common = Omit<RestRequest & { readonly kind: 'delete' }, 'kind'>

const withWindow = (draft: ReadDraft, window: { offset: number | undefined; limit: number | undefined }): Read => ({
  ...draft,
  ...window,
})

const isPlainEquality = (condition: Condition): boolean =>
  condition.kind === 'filter' && !condition.negated && condition.test.operator === 'eq' && !('quantifier' in condition.test)

interface Parts {
  readonly http: RestHttpRequest
  readonly sent: readonly Parameter[]
  readonly target: Target
  readonly parameters: QueryParameters
  readonly common: Common
  readonly source: BodySource
}

const insertOf = ({ http, parameters, common, source }: Parts): RestRequest => {
  const put = http.method === 'PUT'
  const { limit, offset } = windowOf(parameters.read.limit, parameters.read.offset)
  if (put && (limit !== undefined || offset !== undefined)) throw restErrors.putLimit()
  const payload = relationBody(source)
  if (put && !parameters.read.where.every(isPlainEquality)) throw restErrors.putFilters()
  // A row that is inserted is not looked for.
  const read = put ? common.read : { ...common.read, where: [] }
  return { kind: 'insert', ...common, read, payload, columns: parameters.columns, onConflict: parameters.onConflict, put }
}

const callOf = ({ http, parameters, common, source }: Parts): RestRequest => {
  const post = http.method === 'POST'
  const range = http.method === 'GET' ? parseRange(headerOf(http, 'range')) : undefined
  const read = withWindow(parameters.read, windowOf(parameters.read.limit, parameters.read.offset, range))
  const { payload, named } = post ? functionBody(source) : { payload: undefined, named: parameters.named }
  const { columns } = parameters
  return {
    kind: 'call',
    ...common,
    read,
    method: post ? 'POST' : 'GET',
    named,
    payload,
    columns: post ? columns : undefined,
    range,
  }
}

const relationRequest = (parts: Parts): RestRequest => {
  const { http, sent, parameters, common, source } = parts
  const { limit, offset } = parameters.read
  switch (http.method) {
    case 'POST':
    case 'PUT':
      return insertOf(parts)
    case 'PATCH':
      windowOf(limit, offset)
      return { kind: 'update', ...common, payload: relationBody(source), columns: parameters.columns }
    case 'DELETE':
      windowOf(limit, offset)
      return { kind: 'delete', ...common }
    default: {
      const range = http.method === 'GET' ? parseRange(headerOf(http, 'range')) : undefined
      const read = withWindow(parameters.read, windowOf(limit, offset, range))
      return { kind: 'read', ...common, read, range, parameters: sent }
    }
  }
}

/**
 * Reads a request, checks its form and raises a {@link RestError} where that is wrong; nothing is looked up. In what it gives,
 * `limit` and `offset` of the root are those of the query and of the Range header together, and of a write there are none: it
 * concerns all its rows.
 */
export const parseRequest = (http: RestHttpRequest, settings: RequestSettings): RestRequest => {
  const resource = resourceOf(http.path, settings)
  const { schema, profiled } = schemaOf(http, settings)
  checkMethod(http.method, resource)
  const target = { schema, name: resource.name }
  if (http.method === 'OPTIONS') return { kind: 'options', on: resource.on, target }
  const headOnly = http.method === 'HEAD'
  const isCall = resource.on === 'function'
  const sent = parseQueryString(http.query)
  const parameters = readParameters(sent, isCall && http.method !== 'POST')
  const { media, names } = parseAccept(headerOf(http, 'accept'), resource.on, settings.plans)
  if (resource.on === 'root') return { kind: 'root', schema, profiled, headOnly }
  const preferences: Preferences = parsePreferences(headerOf(http, 'prefer'), settings.transactionOverride)
  const read = withWindow(parameters.read, { offset: undefined, limit: undefined })
  const common: Common = { target, read, preferences, accept: media, acceptNames: names, profiled, headOnly }
  const contentType = headerOf(http, 'content-type')
  const bytes = http.body ?? Buffer.alloc(0)
  const source = { contentType, bytes, maxBytes: settings.maxBodyBytes, columns: parameters.columns }
  const parts: Parts = { http, sent, target, parameters, common, source }
  return isCall ? callOf(parts) : relationRequest(parts)
}
