import type { BatchStatement } from '../../postgres/postgres.js'

/** One question for several callers of one role. */
export interface Job {
  readonly role: string
  readonly query: string
  /** What `$1` of the query is: an array of rows as text. */
  readonly rows: string
  /** What `request.jwt.claims` is set to, one after the other. */
  readonly claims: readonly string[]
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

/**
 * Sets the role and the claims of each caller and asks its question by an EXECUTE of its own, which is planned for it alone: Postgres may
 * evaluate what does not change within a statement once for all its rows. A block of its own for each keeps what one raises from the
 * rest. The time of a caller counts from its own beginning, so that nobody is blamed for the ones before.
 *
 * The question is read under service_role, and answered under the role of the caller: a policy may call what lies in a schema that the
 * caller's role may not use. Where service_role is none or may not either, it is read under the caller's.
 */
const block = `do $judge$
declare
  job jsonb;
  subject text;
  verdict text;
  verdicts text[] := '{}';
  began timestamptz := clock_timestamp();
  own timestamptz;
  turn interval := current_setting('tidemark.judge_turn')::interval;
  spent boolean := false;
  prepared boolean;
begin
  for job in select value from jsonb_array_elements(current_setting('tidemark.judge_jobs')::jsonb) loop
    if exists (select from pg_catalog.pg_prepared_statements where name = 'tidemark_question') then
      deallocate tidemark_question;
    end if;
    begin
      perform set_config('role', 'service_role', true);
      execute 'prepare tidemark_question (text) as ' || (job ->> 'query');
      prepared := true;
    exception when others then
      prepared := false;
    end;
    for subject in select value from jsonb_array_elements_text(job -> 'claims') loop
      own := clock_timestamp();
      spent := spent or own - began > turn;
      if spent then
        verdicts := verdicts || '-'::text;
        continue;
      end if;
      begin
        perform set_config('role', job ->> 'role', true), set_config('request.jwt.claims', subject, true);
        if prepared then
          execute format('execute tidemark_question(%L)', job ->> 'rows') into verdict;
        else
          execute job ->> 'query' into verdict using job ->> 'rows';
        end if;
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
  end loop;
  if exists (select from pg_catalog.pg_prepared_statements where name = 'tidemark_question') then
    deallocate tidemark_question;
  end if;
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
    ['tidemark.judge_jobs', JSON.stringify(jobs)],
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
