import { reasonOf, TidemarkError } from '../errors.js'
import { systemClock } from '../time/clock.js'
import { authTablesMark } from './auth-tables.js'
import { apiRoles, createRole, databaseSteps, type Owners } from './bootstrap-steps.js'
import { withMigrationLock } from './migration-lock.js'
import type { BootstrapOptions, BootstrapReport, BootstrapSkip, LoginRole, SchemaClient } from './schema.js'
import { scramMatches, scramVerifier } from './scram.js'
import { quoteIdentifier as id, quoteLiteral as literal, postgresErrorOf } from './sql-errors.js'

/** Raised when a step changes, so that databases prepared before are prepared again. */
const bootstrapVersion = 4
const attempts = 5
const lockTimeoutMs = 60_000

/** Kept as the comment of the schema tidemark: what was done, and what could not be. */
interface Mark {
  readonly bootstrap: number
  /** A copy of the database brings the comment along but not what was granted on the database. */
  readonly databaseOid: number
  readonly roles: Readonly<Record<LoginRole, string>>
  readonly skipped: readonly BootstrapSkip[]
  readonly ownsAuth: boolean
}

interface Role {
  readonly name: string
  readonly ours: boolean
  readonly bypassrls: boolean
  readonly replication: boolean
  readonly createdb: boolean
}

interface State {
  readonly admin: string
  readonly superuser: boolean
  readonly database: string
  readonly databaseOid: number
  readonly comment: string | null
  /** The comment of auth.users; null where there is none, and where there is no such table. */
  readonly authMark: string | null
  readonly hasAuthUsers: boolean
  readonly roles: readonly Role[]
}

const readState = async (client: SchemaClient): Promise<State> => {
  const { rows } = await client.query<State>(
    `select current_user::text as admin, r.rolsuper as superuser, current_database()::text as database,
            (select oid::int8::text::float8 from pg_database where datname = current_database()) as "databaseOid",
            obj_description(to_regnamespace('tidemark')::oid, 'pg_namespace') as comment,
            obj_description(to_regclass('auth.users')::oid, 'pg_class') as "authMark",
            to_regclass('auth.users') is not null as "hasAuthUsers",
            (select jsonb_agg(jsonb_build_object(
               'name', o.rolname,
               'ours', coalesce(shobj_description(o.oid, 'pg_authid') = 'tidemark', false),
               'bypassrls', o.rolbypassrls, 'replication', o.rolreplication, 'createdb', o.rolcreatedb))
               from pg_roles o) as roles
       from pg_roles r where r.rolname = current_user`,
  )
  return rows[0] as State
}

const parseMark = ({ comment, databaseOid }: State): Mark | undefined => {
  try {
    const mark = JSON.parse(comment ?? 'null') as Mark | null
    return mark?.bootstrap === bootstrapVersion && mark.databaseOid === databaseOid ? mark : undefined
  } catch {
    return undefined
  }
}

/** A superuser can compare what is stored with the passwords given; others trust the mark. */
const passwordsHold = async (client: SchemaClient, state: State, mark: Mark, options: BootstrapOptions): Promise<boolean> => {
  const names = Object.values(mark.roles)
  if (!names.every((name) => state.roles.some((role) => role.name === name))) return false
  if (!state.superuser) return true
  const { rows } = await client.query<{ rolname: string; rolpassword: string | null }>(
    'select rolname, rolpassword from pg_authid where rolname = any($1)',
    [names],
  )
  return (Object.entries(mark.roles) as [LoginRole, string][]).every(
    ([role, name]) =>
      name === state.admin ||
      scramMatches(rows.find((row) => row.rolname === name)?.rolpassword ?? null, options.passwords[role]),
  )
}

/** Runs the statements as one transaction. Two databases of one server may touch the same role at once: such losers try again. */
const run = async (client: SchemaClient, sql: string): Promise<void> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query(sql)
      return
    } catch (error) {
      const concurrent = /tuple concurrently (updated|deleted)/.test(postgresErrorOf(error)?.message ?? '')
      if (!concurrent || attempt === attempts) throw error
    }
  }
}

/** Does what it may, and keeps a list of what it may not. */
class Preparation {
  readonly skipped: BootstrapSkip[] = []
  readonly #client: SchemaClient

  constructor(client: SchemaClient) {
    this.#client = client
  }

  async try(what: string, sql: string, consequence: string): Promise<boolean> {
    try {
      await run(this.#client, sql)
      return true
    } catch (error) {
      if (!postgresErrorOf(error)) throw error
      this.skipped.push({ what, why: reasonOf(error), consequence })
      return false
    }
  }

  /** Gives a login role its password, as a verifier; a service that insists on the password itself gets that. */
  async password(name: string, password: string): Promise<boolean> {
    const set = (secret: string) => `alter role ${id(name)} login password ${literal(secret)}`
    try {
      await run(this.#client, set(scramVerifier(password)))
      return true
    } catch (error) {
      const plain = /plain\s?text/i.test(postgresErrorOf(error)?.message ?? '')
      return this.try(
        `a password for ${name}`,
        plain ? set(password) : set(scramVerifier(password)),
        `the connection that was given is used in place of ${name}`,
      )
    }
  }
}

const loginRole = async (
  preparation: Preparation,
  state: State,
  name: string,
  attributes: string,
  password: string,
  memberOf: readonly string[] = [],
): Promise<string> => {
  const fallback = `the connection that was given is used in place of ${name}`
  if (!(await preparation.try(`the role ${name}`, createRole(name, `login ${attributes}`), fallback))) return state.admin
  if (!(await preparation.password(name, password))) return state.admin
  for (const role of memberOf) {
    const consequence = `${name} cannot act as ${role}`
    await preparation.try(`${name} as a member of ${role}`, `grant ${id(role)} to ${id(name)}`, consequence)
  }
  return name
}

const attribute = async (
  preparation: Preparation,
  state: State,
  name: string,
  key: 'bypassrls' | 'replication' | 'createdb',
  consequence: string,
): Promise<void> => {
  if (name === state.admin || state.roles.some((role) => role.name === name && role[key])) return
  await preparation.try(`${key.toUpperCase()} for ${name}`, `alter role ${id(name)} ${key}`, consequence)
}

const makeRoles = async (preparation: Preparation, state: State, { passwords }: BootstrapOptions): Promise<Owners> => {
  for (const name of apiRoles) {
    const consequence = `requests that act as ${name} are refused`
    await preparation.try(`the role ${name}`, createRole(name, 'nologin noinherit'), consequence)
  }
  const seesAll = 'it sees only the rows that policies show it: give it policies of its own'
  await attribute(preparation, state, 'service_role', 'bypassrls', seesAll)

  const migrator = await loginRole(preparation, state, 'tidemark_migrator', '', passwords.migrator)
  const noScratch = '`tidemark schema diff` cannot build its scratch database'
  await attribute(preparation, state, migrator, 'createdb', noScratch)
  // Needed to give it a schema, and so that the database's owner can still alter what the migrator made.
  if (!state.superuser && migrator !== state.admin) {
    const consequence = 'nothing can be made in the name of the migrator'
    await preparation.try(`${state.admin} as a member of ${migrator}`, `grant ${id(migrator)} to ${id(state.admin)}`, consequence)
  }

  // Supabase and PostgREST set-ups have an authenticator of their own, whose password is not ours to change.
  const door = hasForeign(state, 'authenticator') ? 'tidemark_authenticator' : 'authenticator'
  const authenticator = await loginRole(preparation, state, door, 'noinherit', passwords.authenticator, apiRoles)

  const app = await loginRole(preparation, state, 'tidemark_app', '', passwords.app)
  await attribute(preparation, state, app, 'bypassrls', seesAll)

  const feed = await loginRole(preparation, state, 'tidemark_feed', '', passwords.feed)
  await attribute(preparation, state, feed, 'replication', 'changes are read from an outbox instead of the write-ahead log')
  return { migrator, authenticator, app, feed, auth: await makeAuthRole(preparation, state, passwords.auth), admin: state.admin }
}

const hasForeign = (state: State, name: string): boolean => state.roles.some((role) => role.name === name && !role.ours)

/** The owner of the tables of auth, who is nobody else; undefined where those are Supabase's, or of another system like it. */
const makeAuthRole = async (preparation: Preparation, state: State, password: string): Promise<string | undefined> => {
  const foreign = state.hasAuthUsers ? state.authMark !== authTablesMark : hasForeign(state, 'supabase_admin')
  if (foreign) return undefined
  const name = hasForeign(state, 'supabase_auth_admin') ? 'tidemark_auth' : 'supabase_auth_admin'
  const auth = await loginRole(preparation, state, name, 'noinherit', password)
  if (!state.superuser && auth !== state.admin) {
    const consequence = '/auth/v1 is not served'
    await preparation.try(`${state.admin} as a member of ${auth}`, `grant ${id(auth)} to ${id(state.admin)}`, consequence)
  }
  return auth
}

/** The URL with another login. A pooler that routes by `user.project` keeps its project. */
export const urlForRole = (url: string, role: string, password: string): string => {
  const [, scheme = '', user = '', rest = ''] = /^(\w+:\/\/)(?:([^@/:]*)(?::[^@/]*)?@)?(.*)$/s.exec(url) ?? []
  const project = /\.pooler\./.test(rest.split('/')[0] ?? '') ? /\.[^.]+$/.exec(decodeURIComponent(user))?.[0] : undefined
  return `${scheme}${encodeURIComponent(`${role}${project ?? ''}`)}:${encodeURIComponent(password)}@${rest}`
}

const reportOf = (
  { roles, skipped, ownsAuth }: Pick<Mark, 'roles' | 'skipped' | 'ownsAuth'>,
  admin: string,
  options: BootstrapOptions,
  upToDate: boolean,
): BootstrapReport => {
  const url = (role: LoginRole): string =>
    roles[role] === admin ? options.url : urlForRole(options.url, roles[role], options.passwords[role])
  const urls = {
    migrator: url('migrator'),
    authenticator: url('authenticator'),
    app: url('app'),
    feed: url('feed'),
    auth: url('auth'),
  }
  return { urls, roles, skipped, ownsAuth, upToDate }
}

const preparedBefore = async (
  client: SchemaClient,
  state: State,
  options: BootstrapOptions,
): Promise<BootstrapReport | undefined> => {
  const mark = parseMark(state)
  if (!mark || !(await passwordsHold(client, state, mark, options))) return undefined
  return reportOf(mark, state.admin, options, true)
}

const prepareDatabase = async (client: SchemaClient, state: State, options: BootstrapOptions): Promise<BootstrapReport> => {
  const preparation = new Preparation(client)
  const owners = await makeRoles(preparation, state, options)
  for (const { what, sql, consequence } of databaseSteps(owners, state.database)) {
    await preparation.try(what, sql, consequence)
  }
  const { skipped } = preparation
  const { admin, auth, ...others } = owners
  const roles = { ...others, auth: auth ?? admin }
  const ownsAuth = auth !== undefined && (await readState(client)).authMark === authTablesMark
  const done: Mark = { bootstrap: bootstrapVersion, databaseOid: state.databaseOid, roles, skipped, ownsAuth }
  try {
    await run(client, `comment on schema tidemark is ${literal(JSON.stringify(done))}`)
  } catch (error) {
    const why = skipped.map((skip) => `${skip.what}: ${skip.why}`).join('; ')
    throw new TidemarkError('TM_SCHEMA_BOOTSTRAP', { reason: why || reasonOf(error) }, { cause: error })
  }
  return reportOf(done, admin, options, false)
}

/**
 * Makes of any Postgres what Tidemark needs, once: what Supabase supplies and plain Postgres lacks, and the roles with the
 * least privileges that take over from the superuser. Repeating it changes nothing, and costs two queries.
 * What the given role may not do is skipped, and told with its consequence.
 * Raises TM_SCHEMA_LOCKED, and TM_SCHEMA_BOOTSTRAP where not even the platform's own schema can be made.
 */
export const bootstrap = async (client: SchemaClient, options: BootstrapOptions): Promise<BootstrapReport> => {
  for (const [role, password] of Object.entries(options.passwords)) {
    if (/^[\x21-\x7e]+$/.test(password)) continue
    throw new TidemarkError('TM_SCHEMA_BOOTSTRAP', {
      reason: `the password of the ${role} must be printable ASCII without blanks`,
    })
  }
  const held = await preparedBefore(client, await readState(client), options)
  if (held) return held
  // Two nodes may start against a new database at once; the second finds it prepared.
  return withMigrationLock(client, { clock: options.clock ?? systemClock, timeoutMs: lockTimeoutMs }, async () => {
    const state = await readState(client)
    return (await preparedBefore(client, state, options)) ?? (await prepareDatabase(client, state, options))
  })
}
