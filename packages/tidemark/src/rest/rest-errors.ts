import { RestError, type RestErrorDetails, type RestErrorParts } from './rest-error.js'

const make = (
  code: string,
  status: number,
  message: string,
  details: RestErrorDetails = null,
  hint: string | null = null,
  more: Pick<RestErrorParts, 'headers' | 'cause'> = {},
): RestError => new RestError({ code, status, message, details, hint, ...more })

const rangeError = (details: string): RestError => make('PGRST103', 416, 'Requested range not satisfiable', details)

/** What a request that names no function can be answered with. */
export interface MissingFunction {
  readonly schema: string
  readonly name: string
  /** The names of the arguments that were given. */
  readonly keys: readonly string[]
  /** The body of a POST; undefined for GET, and where arguments come in a form or as csv. */
  readonly body: 'json' | 'text' | 'xml' | 'octets' | undefined
  readonly hint: string | null
}

const withKeys = (keys: readonly string[], text: string): string => (keys.length === 0 ? ' without parameters' : text)

const functionNotFound = ({ schema, name, keys, body, hint }: MissingFunction): RestError => {
  const sorted = [...keys].sort()
  const whole = `${schema}.${name}`
  const list = sorted.join(', ')
  const named = withKeys(sorted, ` with parameter${sorted.length > 1 ? 's' : ''} ${list}`)
  const single = { text: 'text', xml: 'xml', octets: 'bytea' }
  const unnamed = body !== undefined && body !== 'json'
  const searched = unnamed
    ? ` with a single unnamed ${single[body]} parameter`
    : `${named}${body === 'json' ? ' or with a single unnamed json/jsonb parameter' : ''}`
  return make(
    'PGRST202',
    404,
    `Could not find the function ${whole}${unnamed ? '' : withKeys(sorted, `(${list})`)} in the schema cache`,
    `Searched for the function ${whole}${searched}, but no matches were found in the schema cache.`,
    unnamed ? null : hint,
  )
}

/** A relationship that was not found: `using` is the caller's `!hint`, `hint` what may have been meant. */
export interface MissingRelationship {
  readonly schema: string
  readonly from: string
  readonly to: string
  readonly using: string | undefined
  readonly hint: string | null
}

const relationshipNotFound = ({ schema, from, to, using, hint }: MissingRelationship): RestError =>
  make(
    'PGRST200',
    400,
    `Could not find a relationship between '${from}' and '${to}' in the schema cache`,
    `Searched for a foreign key relationship between '${from}' and '${to}'${
      using === undefined ? '' : ` using the hint '${using}'`
    } in the schema '${schema}', but no matches were found.`,
    hint,
  )

/** One of several ways that lead from one relation to another. */
export interface RelationshipCandidate {
  readonly cardinality: string
  readonly from: string
  readonly to: string
  /** `directing using films(director_id) and directors(id)`. */
  readonly relationship: string
  /** What tells it from the others behind `!`: its constraint, or the junction table. */
  readonly hint: string
}

const relationshipAmbiguous = (from: string, to: string, candidates: readonly RelationshipCandidate[]): RestError =>
  make(
    'PGRST201',
    300,
    `Could not embed because more than one relationship was found for '${from}' and '${to}'`,
    candidates.map((way) => ({
      cardinality: way.cardinality,
      embedding: `${way.from} with ${way.to}`,
      relationship: way.relationship,
    })),
    `Try changing '${to}' to one of the following: ${candidates
      .map((way) => `'${way.to}!${way.hint}'`)
      .join(', ')}. Find the desired relationship in the 'details' key.`,
  )

const unauthorized = (code: string, message: string, details: string | null = null): RestError =>
  make(code, 401, message, details, null, {
    headers: { 'www-authenticate': `Bearer error="invalid_token", error_description=${JSON.stringify(message)}` },
  })

const soon = { headers: { 'retry-after': '1' } }

/** Every refusal of PostgREST's own, by what went wrong. */
export const restErrors = {
  /** PGRST000 */
  noConnection: (cause?: unknown) =>
    make('PGRST000', 503, 'Database connection error. Retrying the connection.', null, null, { ...soon, cause }),
  /** PGRST001: a connection broke while it was used. */
  connectionBroke: (cause?: unknown) =>
    make('PGRST001', 503, 'Database client error. Retrying the connection.', null, null, { ...soon, cause }),
  /** PGRST002 */
  noCatalogue: (cause?: unknown) =>
    make('PGRST002', 503, 'Could not query the database for the schema cache. Retrying.', null, null, { ...soon, cause }),
  /** PGRST003 */
  poolTimeout: (cause?: unknown) =>
    make('PGRST003', 504, 'Timed out acquiring connection from connection pool.', null, null, { cause }),

  /** PGRST100: `message` names the parameter, `details` what was unexpected and what would have been right. */
  parse: (message: string, details: string) => make('PGRST100', 400, message, details),
  /** PGRST101 */
  methodOnFunction: (method: string) => make('PGRST101', 405, `Cannot use the ${method} method on RPC`),
  /** PGRST102 */
  body: (message: string) => make('PGRST102', 400, message),
  /** PGRST103 */
  negativeLimit: () => rangeError('Limit should be greater than or equal to zero.'),
  /** PGRST103 */
  rangeReversed: () => rangeError('The lower boundary must be lower than or equal to the upper boundary in the Range header.'),
  /** PGRST103 */
  offsetBeyond: (offset: number, rows: number) =>
    rangeError(`An offset of ${offset} was requested, but there are only ${rows} rows.`),
  /** PGRST105 */
  putFilters: () => make('PGRST105', 405, "Filters must include all and only primary key columns with 'eq' operators"),
  /** PGRST106 */
  schemaNotExposed: (schema: string, exposed: readonly string[]) =>
    make('PGRST106', 406, `Invalid schema: ${schema}`, null, `Only the following schemas are exposed: ${exposed.join(', ')}`),
  /** PGRST107 */
  mediaTypes: (accepted: readonly string[]) =>
    make('PGRST107', 406, `None of these media types are available: ${accepted.join(', ')}`),
  /** PGRST108 */
  notEmbedded: (name: string) =>
    make(
      'PGRST108',
      400,
      `'${name}' is not an embedded resource in this request`,
      null,
      `Verify that '${name}' is included in the 'select' query parameter.`,
    ),
  /** PGRST111 */
  responseHeaders: () =>
    make('PGRST111', 500, 'response.headers guc must be a JSON array composed of objects with a single key and a string value'),
  /** PGRST112 */
  responseStatus: () => make('PGRST112', 500, 'response.status guc must be a valid status code'),
  /** PGRST114 */
  putLimit: () => make('PGRST114', 400, 'limit/offset querystring parameters are not allowed for PUT'),
  /** PGRST115 */
  putPayload: () => make('PGRST115', 400, 'Payload values do not match URL in primary key column(s)'),
  /** PGRST116 */
  notSingular: (rows: number) =>
    make('PGRST116', 406, 'Cannot coerce the result to a single JSON object', `The result contains ${rows} rows`),
  /** PGRST117 */
  method: (method: string) => make('PGRST117', 405, `Unsupported HTTP method: ${method}`),
  /** PGRST118 */
  relatedOrder: (from: string, to: string) =>
    make(
      'PGRST118',
      400,
      `A related order on '${to}' is not possible`,
      `'${from}' and '${to}' do not form a many-to-one or one-to-one relationship`,
    ),
  /** PGRST120 */
  embedFilter: (name: string) =>
    make(
      'PGRST120',
      400,
      `Bad operator on the '${name}' embedded resource`,
      'Only is null or not is null filters are allowed on embedded resources',
    ),
  /** PGRST122 */
  preferences: (unknown: readonly string[]) =>
    make('PGRST122', 400, 'Invalid preferences given with handling=strict', `Invalid preferences: ${unknown.join(', ')}`),
  /** PGRST123 */
  aggregates: () => make('PGRST123', 400, 'Use of aggregate functions is not allowed'),
  /** PGRST124 */
  maxAffected: (rows: number) =>
    make('PGRST124', 400, 'Query result exceeds max-affected preference constraint', `The query affects ${rows} rows`),
  /** PGRST125 */
  path: () => make('PGRST125', 404, 'Invalid path specified in request URL'),
  /** PGRST126 */
  rootDisabled: () => make('PGRST126', 404, 'Root endpoint metadata is disabled'),
  /** PGRST127 */
  notImplemented: (details: string) => make('PGRST127', 400, 'Feature not implemented', details),
  /** PGRST128 */
  maxAffectedOfFunction: () =>
    make('PGRST128', 400, 'Function must return SETOF or TABLE when max-affected preference is used with handling=strict'),

  /** PGRST200 */
  relationshipNotFound,
  /** PGRST201 */
  relationshipAmbiguous,
  /** PGRST202 */
  functionNotFound,
  /** PGRST203: `signatures` are `public.f(a => integer)`. */
  functionAmbiguous: (signatures: readonly string[]) =>
    make(
      'PGRST203',
      300,
      `Could not choose the best candidate function between: ${signatures.join(', ')}`,
      null,
      'Try renaming the parameters or the function itself in the database so function overloading can be resolved',
    ),
  /** PGRST204 */
  columnNotFound: (relation: string, column: string) =>
    make('PGRST204', 400, `Could not find the '${column}' column of '${relation}' in the schema cache`),
  /** PGRST205 */
  tableNotFound: (schema: string, name: string, hint: string | null) =>
    make('PGRST205', 404, `Could not find the table '${schema}.${name}' in the schema cache`, null, hint),

  /** PGRST300 */
  noTokenSecret: () => make('PGRST300', 500, 'Server lacks JWT secret'),
  /** PGRST301: a token that cannot be read or verified. */
  badToken: (message: string, details: string | null = null) => unauthorized('PGRST301', message, details),
  /** PGRST302 */
  tokenRequired: () =>
    make('PGRST302', 401, 'Anonymous access is disabled', null, null, { headers: { 'www-authenticate': 'Bearer' } }),
  /** PGRST303: a token whose claims do not hold (any more). */
  badClaims: (message: string) => unauthorized('PGRST303', message),

  /** Something of our own that should not have happened: the cause is for the log, not for the caller. */
  internal: (cause?: unknown) => make('PGRSTX00', 500, 'Something failed that should not have.', null, null, { cause }),
} as const
