/** Reports, out of what a job computed. Rates are fractions from 0 to 1, durations seconds, days and weeks those of UTC. */
import type { Pool } from 'tidemark'
import type * as answers from '../answers.js'
import type { PeriodQuery } from '../input.js'
import type { Db } from '../rows.js'
import { selected } from '../tables.js'

export interface Reports {
  conversion(period: PeriodQuery): Promise<answers.ConversionReport>
  firstResponse(period: PeriodQuery): Promise<answers.FirstResponseReport>
  league(period: PeriodQuery): Promise<answers.LeagueReport>
  funnel(period: PeriodQuery): Promise<answers.FunnelReport>
  trends(period: PeriodQuery): Promise<answers.TrendsReport>
  approvals(period: PeriodQuery): Promise<answers.ApprovalsReport>
}

type Converted = answers.ConversionReport['total']
type Responses = answers.FirstResponseReport['total']
type LeagueRow = answers.LeagueReport['agents'][number]
type TrendRow = answers.TrendsReport['weeks'][number]
type Turnaround = answers.ApprovalsReport['total']

const periodSql = `
  select coalesce($2::date, (now() at time zone 'UTC')::date)::text as until,
         coalesce($1::date, coalesce($2::date, (now() at time zone 'UTC')::date) - 89)::text as "from",
         (select refreshed_at from re_engine.analytics_state) as refreshed_at`

/** $1, $2: the period; $3: of one source alone. */
const within = 'day between $1::date and $2::date and ($3::text is null or source = lower($3))'

const converted = `coalesce(sum(new_leads), 0)::int as new_leads, coalesce(sum(converted), 0)::int as converted, coalesce(sum(lost), 0)::int as lost,
  round(sum(converted)::numeric / nullif(sum(new_leads), 0), 4)::float8 as conversion_rate`

const responses = `count(*)::int as leads, count(first_response_at)::int as responded, avg(first_response_seconds) as average_seconds,
  percentile_cont(0.5) within group (order by first_response_seconds) as median_seconds,
  percentile_cont(0.9) within group (order by first_response_seconds) as p90_seconds`

const turnaround = `count(*)::int as decided, (count(*) filter (where decision = 'approved'))::int as approved,
  (count(*) filter (where decision = 'rejected'))::int as rejected,
  round((count(*) filter (where decision = 'rejected'))::numeric / nullif(count(*), 0), 4)::float8 as rejection_rate,
  avg(turnaround_seconds) as average_seconds, percentile_cont(0.5) within group (order by turnaround_seconds) as median_seconds,
  percentile_cont(0.9) within group (order by turnaround_seconds) as p90_seconds`

const leagueSql = `
  with came as (
    select agent_id, count(*)::int as leads, (count(*) filter (where converted_at is not null))::int as converted,
           percentile_cont(0.5) within group (order by first_response_seconds) as median_response_seconds
      from re_engine.lead_facts where ${within} and agent_id is not null group by agent_id),
  held as (
    select agent_id, count(*)::int as active_leads from re_engine.lead_facts
     where status in ('new', 'contacted', 'qualified', 'nurturing') group by agent_id),
  did as (
    select agent_id, sum(messages_sent)::int as messages_sent, sum(replies)::int as replies, sum(calls)::int as calls
      from public.analytics_agent_daily where day between $1::date and $2::date group by agent_id)
  select rank() over (order by coalesce(c.converted, 0) desc, coalesce(c.converted::numeric / nullif(c.leads, 0), 0) desc)::int as rank,
         a.id as agent_id, a.name, coalesce(h.active_leads, 0) as active_leads, coalesce(c.leads, 0) as leads, coalesce(c.converted, 0) as converted,
         round(c.converted::numeric / nullif(c.leads, 0), 4)::float8 as conversion_rate, coalesce(d.messages_sent, 0) as messages_sent,
         coalesce(d.replies, 0) as replies, coalesce(d.calls, 0) as calls, c.median_response_seconds
    from public.agents a left join came c on c.agent_id = a.id left join held h on h.agent_id = a.id left join did d on d.agent_id = a.id
   where a.status <> 'inactive' or c.leads is not null or d.agent_id is not null
   order by rank, a.name, a.id limit 500`

const funnelSql = `
  select s.stage, (select count(*)::int from re_engine.lead_facts where ${within} and lead_facts.stage >= s.n - 1) as reached
    from unnest(array['new', 'contacted', 'qualified', 'nurturing', 'converted']) with ordinality as s (stage, n)
   order by s.n`

const trendsSql = `
  with weeks as (
    select generate_series(date_trunc('week', $1::date), date_trunc('week', $2::date), interval '1 week')::date as week),
  came as (
    select date_trunc('week', day)::date as week, sum(new_leads)::int as new_leads, sum(converted)::int as converted, sum(lost)::int as lost
      from public.analytics_lead_daily where ${within} group by 1),
  did as (
    select date_trunc('week', day)::date as week, sum(messages_sent)::int as messages_sent, sum(replies)::int as replies
      from public.analytics_agent_daily where day between $1::date and $2::date group by 1)
  select w.week::text, coalesce(c.new_leads, 0) as new_leads, coalesce(c.converted, 0) as converted, coalesce(c.lost, 0) as lost,
         round(c.converted::numeric / nullif(c.new_leads, 0), 4)::float8 as conversion_rate,
         coalesce(d.messages_sent, 0) as messages_sent, coalesce(d.replies, 0) as replies
    from weeks w left join came c using (week) left join did d using (week) order by w.week`

/** Reads on the pool for long reads, each report in one snapshot. */
export const createReports = (analytics: Pick<Pool, 'transaction'>): Reports => {
  const report = <T>(
    period: PeriodQuery,
    make: (db: Db, values: readonly unknown[]) => Promise<T>,
  ): Promise<answers.Report & T> =>
    analytics.transaction(
      async (db) => {
        const [head] = await selected<answers.Report>(db, periodSql, [period.from ?? null, period.until ?? null])
        return { ...head!, ...(await make(db, [head!.from, head!.until, period.source ?? null])) }
      },
      { readOnly: true, isolation: 'repeatable read' },
    )

  return {
    conversion: (period) =>
      report(period, async (db, values) => {
        const from = `from public.analytics_lead_daily where ${within}`
        const [total] = await selected<Converted>(db, `select ${converted} ${from}`, values)
        return {
          total: total!,
          by_source: await selected<Converted & { source: string }>(
            db,
            `select source, ${converted} ${from} group by source order by source`,
            values,
          ),
          trend: await selected<Converted & { day: string }>(
            db,
            `select day::text, ${converted} ${from} group by day order by day`,
            values,
          ),
        }
      }),
    firstResponse: (period) =>
      report(period, async (db, values) => {
        const from = `from re_engine.lead_facts where ${within}`
        const [total] = await selected<Responses>(db, `select ${responses} ${from}`, values)
        const bySource = `select source, ${responses} ${from} group by source order by source`
        return { total: total!, by_source: await selected<Responses & { source: string }>(db, bySource, values) }
      }),
    league: (period) => report(period, async (db, values) => ({ agents: await selected<LeagueRow>(db, leagueSql, values) })),
    funnel: (period) =>
      report(period, async (db, values) => {
        const reached = await selected<{ stage: string; reached: number }>(db, funnelSql, values)
        const [row] = await selected<{ lost: number }>(
          db,
          `select count(*)::int as lost from re_engine.lead_facts where ${within} and lost`,
          values,
        )
        const steps = reached.map((step, place) => {
          const before = reached[place - 1]?.reached
          return { ...step, rate: before ? Math.round((step.reached / before) * 10_000) / 10_000 : null }
        })
        return { steps, lost: row!.lost }
      }),
    trends: (period) => report(period, async (db, values) => ({ weeks: await selected<TrendRow>(db, trendsSql, values) })),
    approvals: (period) =>
      report(period, async (db, [from, until]) => {
        const source = 'from re_engine.approval_facts where day between $1::date and $2::date'
        const values = [from, until]
        const [total] = await selected<Turnaround>(db, `select ${turnaround} ${source}`, values)
        const byChannel = `select channel, ${turnaround} ${source} group by channel order by channel`
        return { total: total!, by_channel: await selected<Turnaround & { channel: string }>(db, byChannel, values) }
      }),
  }
}

/** Computes everything anew. False where somebody else is at it, or was in the last `withinMs`. As the server. */
export const refreshReports = async (db: Db, withinMs = 0): Promise<boolean> => {
  const sql = "select re_engine.refresh_analytics($1 * interval '1 ms') as done"
  const [row] = await selected<{ done: boolean }>(db, sql, [withinMs])
  return row!.done
}
