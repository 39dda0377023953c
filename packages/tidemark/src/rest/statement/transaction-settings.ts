import type { Caller } from '../../auth/caller.js'
import type { Isolation, Setting } from '../../postgres/postgres.js'
import type { RelationName } from '../catalogue.js'

/** What a transaction is told about the request that it answers. */
export interface TransactionContext {
  readonly caller: Caller
  /** First on the search path. */
  readonly schema: string
  readonly extraSearchPath: readonly string[]
  readonly method: string
  /** Behind `/rest/v1`, with its slash. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly timezone: string | undefined
  /** `alter role … set` of the caller's role. */
  readonly roleSettings: ReadonlyMap<string, string>
  /** Of the function that is called. */
  readonly functionSettings: ReadonlyMap<string, string>
  /** `app.settings.…` and the like, for every request. */
  readonly appSettings: ReadonlyMap<string, string>
}

const isolationSetting = 'default_transaction_isolation'

const isolations: Readonly<Record<string, Isolation>> = {
  'read committed': 'read committed',
  'repeatable read': 'repeatable read',
  serializable: 'serializable',
}

/** How a transaction has to begin: a setting of the default would come too late for it. */
export const isolationOf = ({ roleSettings, functionSettings }: TransactionContext): Isolation | undefined =>
  isolations[functionSettings.get(isolationSetting) ?? roleSettings.get(isolationSetting) ?? '']

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** For every request, hence without a list on the way. */
const headersJson = (headers: TransactionContext['headers']): string => {
  // Without a prototype `__proto__` is a name like any other.
  const shown: Record<string, string> = Object.create(null)
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    if (name !== 'cookie' && value !== undefined) shown[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return JSON.stringify(shown)
}

const cookiesJson = ({ cookie }: TransactionContext['headers']): string => {
  if (cookie === undefined) return '{}'
  const text = typeof cookie === 'string' ? cookie : cookie.join('; ')
  const pairs = text.split(';').flatMap((pair) => {
    const [name = '', value] = pair.trim().split(/=(.*)/s)
    return name === '' || value === undefined ? [] : [[name, value]]
  })
  return JSON.stringify(Object.fromEntries(pairs))
}

const withoutIsolation = (settings: ReadonlyMap<string, string>): readonly Setting[] =>
  [...settings].filter(([name]) => name !== isolationSetting)

/**
 * The settings of a request's transaction, in PostgREST's order: those of the role before the role itself, since the login may be
 * allowed to set what the role is not.
 */
export const transactionSettings = (context: TransactionContext): readonly Setting[] => {
  const { caller, schema, extraSearchPath, method, path, headers, timezone } = context
  return [
    ['search_path', [schema, ...extraSearchPath].map(quoted).join(', ')],
    ...withoutIsolation(context.roleSettings),
    ['role', caller.role],
    ['request.jwt.claims', JSON.stringify({ ...caller.claims, role: caller.role })],
    ['request.method', method],
    ['request.path', path],
    ['request.headers', headersJson(headers)],
    ['request.cookies', cookiesJson(headers)],
    ...(timezone === undefined ? [] : [['timezone', timezone] as const]),
    ...withoutIsolation(context.functionSettings),
    ...context.appSettings,
  ]
}

/** The call of a function before each request. Its name comes from the configuration. */
export const preRequestText = ({ schema, name }: RelationName): string => `select ${quoted(schema)}.${quoted(name)}()`
