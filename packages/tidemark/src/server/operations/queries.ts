/** What Postgres does, has done, and would do. */
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import type { Pool, PoolStats } from '../../postgres/postgres.js'
import { viewpointOf, viewpointRequest } from './data.js'
import type { RoleReads } from './role-reads.js'

/** What a session does. */
export interface SessionView {
  readonly pid: number
  readonly user: string | null
  readonly application: string
  readonly state: string | null
  /** What it waits for. */
  readonly waits: string | null
  readonly transactionMs: number | null
  readonly stateMs: number | null
  /** Null where none of the server's logins may see it. */
  readonly query: string | null
  /** Sessions that hold what it waits for. */
  readonly blockedBy: readonly number[]
}

export interface StatementView {
  readonly id: string
  readonly query: string
  readonly user: string
  readonly calls: number
  readonly totalMs: number
  readonly meanMs: number
  readonly maxMs: number
  readonly rows: number
  /** Of the blocks it read: how many were in memory. Null where it read none. */
  readonly inMemory: number | null
}

export interface LockView {
  readonly pid: number
  readonly table: string
  readonly mode: string
  readonly isGranted: boolean
  readonly waitedMs: number | null
}

export interface QueriesReport {
  /** Null where pg_stat_statements is not there. */
  readonly statements: readonly StatementView[] | null
  readonly sessions: readonly SessionView[]
  /** Of tables; those that only read are left out. */
  readonly locks: readonly LockView[]
  readonly pools: readonly PoolStats[]
}

const sessionsSql = `
  select pid, usename::text as "user", coalesce(application_name, '') as application, state,
         case when wait_event is null or state = 'idle' then null else concat_ws(': ', wait_event_type, wait_event) end as waits,
         round(extract(epoch from clock_timestamp() - xact_start) * 1000)::float8 as "transactionMs",
         round(extract(epoch from clock_timestamp() - state_change) * 1000)::float8 as "stateMs",
         case when pg_has_role(usesysid, 'usage') then left(query, 2000) end as query, pg_blocking_pids(pid) as "blockedBy"
    from pg_stat_activity
   where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
   order by xact_start nulls last, pid limit 300`

const locksSql = `
  select l.pid, concat_ws('.', n.nspname, c.relname) as "table", l.mode, l.granted as "isGranted",
         round(extract(epoch from clock_timestamp() - l.waitstart) * 1000)::float8 as "waitedMs"
    from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
   where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
     and n.nspname not in ('pg_catalog', 'pg_toast') and (not l.granted or l.mode <> 'AccessShareLock') and c.relkind in ('r', 'p', 'm') and l.pid <> pg_backend_pid()
   order by l.granted, l.pid limit 300`

/** Each login sees the words of its own sessions only; together they see all of the server's. */
const readSessions = async (pools: readonly Pool[]): Promise<readonly SessionView[]> => {
  const seen = new Map<number, SessionView>()
  const answers = await Promise.all(pools.map((pool) => pool.query<SessionView>(sessionsSql, [], { idempotent: true })))
  for (const { rows } of answers) for (const row of rows) if (row.query !== null || !seen.has(row.pid)) seen.set(row.pid, row)
  const rank = ({ blockedBy, state }: SessionView): number =>
    blockedBy.length > 0 ? 0 : state === 'active' ? 1 : state === 'idle' ? 3 : 2
  return [...seen.values()].sort((a, b) => rank(a) - rank(b) || a.pid - b.pid)
}

/** Ours sees statements of all roles, the extension's own those that the login may. */
const sourceSql = `
  select case when coalesce(has_function_privilege(to_regprocedure('tidemark.statement_statistics()'), 'execute'), false)
              then 'tidemark.statement_statistics()' else format('%I.pg_stat_statements', n.nspname) end as source
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'`

const statementsSql = (source: string): string => `
  select concat_ws('-', s.userid, s.queryid, s.toplevel) as id, left(s.query, 4000) as query, pg_get_userbyid(s.userid)::text as "user", s.calls::float8 as calls,
         s.total_exec_time as "totalMs", s.mean_exec_time as "meanMs", s.max_exec_time as "maxMs", s.rows::float8 as rows,
         s.shared_blks_hit::float8 / nullif(s.shared_blks_hit + s.shared_blks_read, 0) as "inMemory"
    from ${source} s
   where s.dbid = (select oid from pg_database where datname = current_database()) and s.queryid is not null
   order by s.total_exec_time desc limit 200`

const readStatements = async (pool: Pool): Promise<QueriesReport['statements']> => {
  const { rows } = await pool.query<{ readonly source: string }>(sourceSql, [], { idempotent: true })
  const [found] = rows
  if (!found) return null
  // Made, but not loaded when Postgres began: then it only raises.
  return pool.query<StatementView>(statementsSql(found.source), [], { idempotent: true }).then(
    (answer) => answer.rows,
    () => null,
  )
}

export interface QueriesInput {
  /** The pools of this server. */
  readonly pools: readonly Pool[]
  /** One of each login. */
  readonly logins: readonly Pool[]
}

export const queriesReport = async ({ pools, logins }: QueriesInput): Promise<QueriesReport> => {
  const [first] = pools
  const [statements, sessions, locks] = await Promise.all([
    readStatements(first!),
    readSessions(logins),
    first!.query<LockView>(locksSql, [], { idempotent: true }),
  ])
  return { statements, sessions, locks: locks.rows, pools: pools.map((pool) => pool.stats()) }
}

export const explainRequest = viewpointRequest.extend({ sql: z.string().trim().min(1).max(20_000) })

/** A node of a plan, as Postgres names its parts. */
export interface PlanNode {
  readonly 'Node Type': string
  readonly 'Total Cost': number
  readonly 'Plan Rows': number
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly Filter?: string
  readonly 'Index Cond'?: string
  readonly Plans?: readonly PlanNode[]
}

export interface ExplainReport {
  readonly plan: PlanNode
}

/** Statements as pg_stat_statements keeps them have places for values; whatever stands there, the general plan is asked for. */
const placesOf = (sql: string): number => Math.max(0, ...[...sql.matchAll(/\$(\d{1,3})/g)].map(([, number]) => Number(number)))

/**
 * The plan that Postgres makes for one statement, which is not run: options stand in parentheses, after which ANALYZE is no word of EXPLAIN;
 * the text is sent as one message that takes one statement, in a transaction that only reads, as a role of callers.
 */
export const queriesExplain = async (reads: RoleReads, request: z.output<typeof explainRequest>): Promise<ExplainReport> => {
  const places = placesOf(request.sql)
  const options = places > 0 ? '(format json, generic_plan)' : '(format json)'
  const values = Array.from({ length: places }, () => null)
  const [found] =
    (await reads.json<{ readonly Plan?: PlanNode }[] | null>(
      viewpointOf(request),
      `explain ${options} ${request.sql.replace(/;\s*$/, '')}`,
      values,
    )) ?? []
  if (found?.Plan) return { plan: found.Plan }
  throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: 'Postgres makes no plan for it' })
}
