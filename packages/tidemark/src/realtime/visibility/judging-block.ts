import type { BatchStatement } from '../../postgres/postgres.js'
import { quoteLiteral as literal } from '../../schema/sql-errors.js'

/** A question about rows. */
export interface Question {
  /** The row type, quoted with its schema; undefined where there are no rows. */
  readonly type?: string | undefined
  /** With the given expression for its rows: an array of the row type. */
  query(rows: string): string
  /** The same policy by policy; one of the permissive ones has to hold, and each of the restrictive ones. */
  parts(rows: string): readonly QuestionPart[]
  /** Undefined where each caller needs a plan of its own. */
  readonly lasting?: LastingQuestion | undefined
}

/** What may be asked for all callers of a role with one plan. */
export interface LastingQuestion {
  /** In SQL: whether it may. */
  readonly condition: string
  /** As `query` of the question, which it stands for under that condition. */
  query(rows: string): string
}

export interface QuestionPart {
  readonly permissive: boolean
  readonly query: string
}

/** One question for several callers of one role. */
export interface Job {
  readonly role: string
  readonly question: Question
  /** An array of rows as text. */
  readonly rows: string
  /** What `request.jwt.claims` is set to, one after the other. */
  readonly claims: readonly string[]
  /** The question is read under service_role: it names what lies in a schema that the caller's role may not use. */
  readonly readByServer: boolean
}

/**
 * What came of one caller. `raised`: with the SQLSTATE of it. `slow`: it alone took longer than all may. `unreached`: others used up the time, or a
 * lock was waited for; ask again.
 */
export type Outcome =
  | { readonly type: 'answer'; readonly text: string }
  | { readonly type: 'raised'; readonly sqlstate: string }
  | { readonly type: 'slow' }
  | { readonly type: 'unreached' }

export interface Budget {
  /** No caller is begun with after so long. */
  readonly turnMs: number
  /** Postgres ends a caller that is not done after so long since the beginning of all. */
  readonly hardMs: number
}

/** Postgres' own default would use one caller's plan for the next after a while. */
const planning = ['plan_cache_mode', 'force_custom_plan'] as const

/** For fewer callers it takes longer to find out whether one plan is enough than to make some. */
const fewCallers = 10

/** The rows are read once for all callers; the question is read, planned and answered under the role of each. */
const byCaller = (job: Job) => {
  const { question, rows, claims } = job
  const type = question.type === undefined ? 'text' : `${question.type}[]`
  const ask = `execute ${literal(question.query('$1'))} into verdict using rows;`
  const declare = `rows ${type} := current_setting('tidemark.judge_rows');`
  const { lasting } = question
  if (lasting === undefined || claims.length <= fewCallers) return { declare, prepare: '', ask, check: '' }
  return {
    declare: `${declare} lasts boolean := ${lasting.condition};`,
    prepare: '',
    // Without parameters, that of an assignment included, Postgres plans it once. What does not change within a statement is worked out in each.
    ask: `if lasts then
        select (${lasting.query(`${literal(rows)}::${type}`)}) into verdict;
      else
        ${ask}
      end if;`,
    // A function may have become another meanwhile: then all are asked again.
    check: `if lasts and not ${lasting.condition} then
    verdicts := array_fill('-'::text, array[cardinality(verdicts)]);
  end if;`,
  }
}

const letGo = `
  for statement in select name from pg_catalog.pg_prepared_statements where name ~ '^tidemark_question_[0-9]+$' loop
    execute 'deallocate ' || statement;
  end loop;`

/**
 * The question is read under service_role, and planned and answered under the role of the caller. As in a SELECT, a policy may name what
 * lies in a schema that the caller's role may not use. Dearer, since the rows are read anew for each. Postgres reads a statement again
 * under another role where it looks up tables with row security, so each policy is a statement of its own.
 */
const byServer = ({ question, role }: Job) => {
  const parts = question.parts(question.type === undefined ? '$1' : `$1::${question.type}[]`)
  const ordered = [...parts].sort((a, b) => Number(b.permissive) - Number(a.permissive))
  return {
    declare: `rows text := current_setting('tidemark.judge_rows'); part varbit; seen varbit; statement text;`,
    prepare: `${letGo}
    perform set_config('role', 'service_role', true);
    ${ordered.map(({ query }, index) => `execute ${literal(`prepare tidemark_question_${index} (text) as ${query}`)};`).join('\n')}
    perform set_config('role', ${literal(role)}, true);`,
    ask: `seen := null;
      ${ordered
        .map(
          ({ permissive }, index) => `execute format('execute tidemark_question_${index}(%L)', rows) into part;
      seen := ${permissive ? 'coalesce(seen | part, part)' : 'seen & part'};`,
        )
        .join('\n')}
      verdict := seen::text;`,
    check: '',
  }
}

/**
 * Asks for one caller after the other by a statement of its own: Postgres may evaluate what does not change within a statement once for all its
 * rows. It is planned for the caller alone, unless it is sure that the plan holds for the others. A block of its own for each keeps what one raises from the rest. The time of a caller counts from
 * its own beginning, so that nobody is blamed for the ones before.
 */
const jobBlock = (job: Job): string => {
  const { declare, prepare, ask, check } = job.readByServer ? byServer(job) : byCaller(job)
  // The columns of a question may be called as the variables are.
  const body = `
#variable_conflict use_column
declare
  subject text;
  verdict text;
  verdicts text[] := '{}';
  began timestamptz := current_setting('tidemark.judge_began')::timestamptz;
  turn interval := current_setting('tidemark.judge_turn')::interval;
  spent boolean := current_setting('tidemark.judge_spent')::boolean;
  own timestamptz;
  ${declare}
begin
  ${prepare}
  for subject in select value from jsonb_array_elements_text(current_setting('tidemark.judge_claims')::jsonb) loop
    own := clock_timestamp();
    spent := spent or own - began > turn;
    if spent then
      verdicts := verdicts || '-'::text;
      continue;
    end if;
    begin
      perform set_config('role', ${literal(job.role)}, true), set_config('request.jwt.claims', subject, true);
      ${ask}
      verdicts := verdicts || ('=' || coalesce(verdict, ''));
    exception
      when query_canceled then
        verdicts := verdicts || case when clock_timestamp() - own > turn then '~' else '-' end;
        spent := true;
      when lock_not_available or deadlock_detected or serialization_failure then
        verdicts := verdicts || '-'::text;
        spent := true;
      when others then
        verdicts := verdicts || ('!' || sqlstate);
    end;
  end loop;
  ${check}
  perform set_config('tidemark.judge_part', verdicts::text, true), set_config('tidemark.judge_spent', spent::text, true);
end`
  return `do ${literal(body)}`
}

/** Does one job after the other. What keeps a whole job from being done is what came of each of its callers. */
const block = `do $judge$
declare
  job jsonb;
  statement text;
  verdicts text[] := '{}';
begin
  perform set_config('tidemark.judge_began', clock_timestamp()::text, true), set_config('tidemark.judge_spent', 'false', true);
  for job in select value from jsonb_array_elements(current_setting('tidemark.judge_jobs')::jsonb) loop
    begin
      perform set_config('role', job ->> 'role', true), set_config('tidemark.judge_rows', job ->> 'rows', true),
        set_config('tidemark.judge_claims', job ->> 'claims', true);
      execute job ->> 'block';
      verdicts := verdicts || current_setting('tidemark.judge_part')::text[];
    exception when others then
      verdicts := verdicts || array_fill('!' || sqlstate, array[jsonb_array_length(job -> 'claims')]);
    end;
  end loop;
${letGo}
  perform set_config('tidemark.judge_verdicts', array_to_json(verdicts)::text, true);
end $judge$`

/** What a request's transaction holds besides its caller, for policies that look: this one has no request. */
const request = [
  ['request.method', 'GET'],
  ['request.path', ''],
  ['request.headers', '{}'],
  ['request.cookies', '{}'],
] as const

export const judgingSettings = (jobs: readonly Job[], searchPath: string, { turnMs, hardMs }: Budget) =>
  [
    ['search_path', searchPath],
    planning,
    ...request,
    ['statement_timeout', String(hardMs)],
    ['lock_timeout', String(turnMs)],
    ['tidemark.judge_turn', `${turnMs} milliseconds`],
    [
      'tidemark.judge_jobs',
      JSON.stringify(jobs.map((job) => ({ role: job.role, rows: job.rows, claims: job.claims, block: jobBlock(job) }))),
    ],
  ] as const

export const judgingStatements: readonly BatchStatement[] = [
  { text: block, values: [], name: 'tidemark judge' },
  { text: `select current_setting('tidemark.judge_verdicts')`, values: [], name: 'tidemark judged' },
]

const outcomeOf = (text: string): Outcome => {
  if (text.startsWith('=')) return { type: 'answer', text: text.slice(1) }
  if (text.startsWith('!')) return { type: 'raised', sqlstate: text.slice(1) }
  return { type: text === '~' ? 'slow' : 'unreached' }
}

/** By job, by claims. */
export const outcomesOf = (jobs: readonly Job[], text: string): readonly (readonly Outcome[])[] => {
  const all = (JSON.parse(text) as readonly string[]).map(outcomeOf)
  let next = 0
  return jobs.map(({ claims }) => {
    const own = all.slice(next, next + claims.length)
    next += claims.length
    return own
  })
}
