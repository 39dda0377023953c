/** What the five applications keep in this Postgres, as far as an operator needs it: states, counts and times, and no words of theirs. */
import { z } from 'zod'
import type { RoleReads } from '../role-reads.js'

/** Policies of an application are for its users; who looks here answers for the whole. */
export const everything = { role: 'service_role' } as const

export const systemNames = ['tours', 'leads', 'yarn', 'chat', 'agents'] as const

export type SystemName = (typeof systemNames)[number]

/** What an operator's screen of each shows. */
export const systemTables: Readonly<Record<SystemName, readonly string[]>> = {
  tours: ['public.tours', 'public.property_visits', 'public.tasks', 'public.feedback'],
  leads: ['public.leads', 'public.approvals'],
  yarn: ['public.sessions', 'public.risk_detections'],
  chat: ['public.chat_sessions', 'public.chat_messages'],
  agents: ['public.agent_instances', 'public.agent_executions'],
}

/** Tables that two applications both call so are told apart by columns. */
const tellTales: Readonly<Record<SystemName, readonly string[]>> = {
  tours: ['tours.crm_sync_status', 'property_visits.tour_id', 'tasks.visit_id'],
  leads: ['leads.assigned_agent', 'approvals.draft_text', 'agents.brokerage'],
  yarn: ['sessions.fsm_state', 'user_responses.step', 'risk_detections.detected_at'],
  chat: ['chat_sessions.next_seq', 'chat_messages.seq'],
  agents: ['agent_instances.status_version', 'agent_executions.priority', 'agent_metrics.period_start'],
}

const presentSql = `
  select json_object_agg(s.name, s.there)::text from (
    select w.name, bool_and(exists (
        select from pg_attribute a join pg_class c on c.oid = a.attrelid
         where c.relnamespace = 'public'::regnamespace and c.relname = split_part(w.mark, '.', 1) and a.attname = split_part(w.mark, '.', 2)
           and not a.attisdropped and has_column_privilege(c.oid, a.attnum, 'select'))) as there
      from (select e.key as name, m.mark from json_each($1::json) e, json_array_elements_text(e.value) as m (mark)) w
     group by w.name) s`

export type SystemsReport = Readonly<Record<SystemName, boolean>>

/** Where applications are looked for. */
export interface SystemReads {
  /** The project's own database. */
  readonly own: RoleReads
  /** Databases beside it, by name. */
  readonly others: ReadonlyMap<string, RoleReads>
}

const presentIn = (reads: RoleReads): Promise<SystemsReport> =>
  reads.json<SystemsReport>(everything, presentSql, [JSON.stringify(tellTales)])

/** Of the others those that somebody has made. */
const made = async ({ own, others }: SystemReads): Promise<readonly (readonly [database: string, reads: RoleReads])[]> => {
  if (others.size === 0) return []
  const sql = `select coalesce(json_agg(datname), '[]')::text from pg_database where datname = any ($1::text[])`
  const names = await own.json<readonly string[]>(everything, sql, [`{${[...others.keys()].join(',')}}`])
  return [...others].filter(([name]) => names.includes(name))
}

/** Which of them have their tables here. */
export const systemsList = async (reads: SystemReads): Promise<SystemsReport> => {
  const places = [reads.own, ...(await made(reads)).map(([, each]) => each)]
  const all = await Promise.all(places.map(presentIn))
  return Object.fromEntries(systemNames.map((name) => [name, all.some((report) => report[name])])) as SystemsReport
}

/** Those in the project's own database, whose changes the feed tells. */
export const ownSystems = async ({ own }: SystemReads): Promise<readonly SystemName[]> => {
  const present = await presentIn(own)
  return systemNames.filter((name) => present[name])
}

/** Where an application is: in the project's own database before any other. */
export const findSystem = async (
  reads: SystemReads,
  name: SystemName,
): Promise<{ readonly database: string | null; readonly reads: RoleReads } | undefined> => {
  if ((await presentIn(reads.own))[name]) return { database: null, reads: reads.own }
  for (const [database, other] of await made(reads)) if ((await presentIn(other))[name]) return { database, reads: other }
  return undefined
}

/** Whether an application's tables are here, and in which database beside the project's own; null is that one, whose changes the feed tells. */
export interface SystemPlace {
  readonly isPresent: boolean
  readonly database: string | null
}

export type Counts = Readonly<Record<string, number>>

const countsOf = (table: string, column: string, where = 'true'): string =>
  `(select coalesce(json_object_agg(k, n), '{}') from (select ${column}::text as k, count(*)::int as n from public.${table} where ${where} group by 1) c)`

const instant = z.iso.datetime({ offset: true })

/** A day of whoever looks: from its first moment to the next day's. */
export const dayRequest = z.strictObject({ from: instant, to: instant })

export interface TourStop {
  readonly id: string
  readonly address: string
  readonly status: string
  readonly arrival: string
  readonly departure: string
  readonly arrivedAt: string | null
  readonly confirmation: string | null
  readonly tasks: number
  readonly tasksDone: number
}

export interface TourView {
  readonly id: string
  readonly agent: string
  readonly start: string
  readonly end: string
  readonly status: string
  readonly crm: string
  readonly crmError: string | null
  readonly stops: readonly TourStop[]
}

export interface ToursReport extends SystemPlace {
  readonly tours: readonly TourView[]
  /** Of all days. */
  readonly states: Counts
  readonly crm: Counts
  /** Feedback that nobody was told of yet. */
  readonly untold: number
}

const toursSql = `
  select json_build_object('states', ${countsOf('tours', 'status')}, 'crm', ${countsOf('tours', 'crm_sync_status')},
    'untold', (select count(*)::int from public.feedback where not sent_to_agent),
    'tours', (select coalesce(json_agg(t), '[]') from (
      select t.id, t.agent_id as agent, t.start_time as start, t.end_time as "end", t.status, t.crm_sync_status as crm, left(t.crm_sync_error, 300) as "crmError",
             (select coalesce(json_agg(json_build_object('id', v.id, 'address', left(v.address, 200), 'status', v.status, 'arrival', v.scheduled_arrival,
                  'departure', v.scheduled_departure, 'arrivedAt', v.actual_arrival, 'confirmation', v.confirmation_status,
                  'tasks', (select count(*) from public.tasks k where k.visit_id = v.id),
                  'tasksDone', (select count(*) from public.tasks k where k.visit_id = v.id and k.status = 'completed'))
                  order by v.scheduled_arrival, v.id), '[]')
                from public.property_visits v where v.tour_id = t.id) as stops
        from public.tours t where t.start_time >= $1::timestamptz and t.start_time < $2::timestamptz
       order by t.start_time, t.id limit 200) t))::text`

export interface LeadView {
  readonly id: string
  readonly name: string
  readonly source: string | null
  readonly status: string
  readonly agent: string | null
  readonly since: string
  readonly blocked: string | null
}

export interface ApprovalView {
  readonly id: string
  readonly lead: string
  readonly channel: string
  readonly subject: string | null
  readonly status: string
  readonly score: number | null
  readonly at: string
  readonly expiresAt: string | null
  readonly error: string | null
}

export interface LeadsReport extends SystemPlace {
  readonly stages: Counts
  /** The latest of each stage. */
  readonly leads: readonly LeadView[]
  readonly approvals: Counts
  /** What waits for somebody, the oldest first. */
  readonly inbox: readonly ApprovalView[]
}

const leadsSql = `
  select json_build_object('stages', ${countsOf('leads', 'status')}, 'approvals', ${countsOf('approvals', 'status')},
    'leads', (select coalesce(json_agg(l), '[]') from (
      select id, name, source, status, agent, since, blocked from (
        select l.id, concat_ws(' ', l.first_name, l.last_name) as name, l.source, l.status, a.name as agent, l.status_changed_at as since,
               l.contact_block_reason as blocked, row_number() over (partition by l.status order by l.status_changed_at desc, l.id) as place
          from public.leads l left join public.agents a on a.id = l.assigned_agent) ranked
       where place <= 25 order by since desc) l),
    'inbox', (select coalesce(json_agg(p), '[]') from (
      select p.id, concat_ws(' ', l.first_name, l.last_name) as lead, p.channel, p.draft_subject as subject, p.status, p.ai_score as score,
             coalesce(p.submitted_at, p.created_at) as at, p.expires_at as "expiresAt", left(p.last_error, 300) as error
        from public.approvals p join public.leads l on l.id = p.lead_id
       where p.status in ('pending', 'approved', 'sending', 'failed') order by coalesce(p.submitted_at, p.created_at), p.id limit 200) p))::text`

export interface YarnView {
  /** The beginning of its id, and never the half of it: whoever has all of it may go on with the yarn. */
  readonly id: string
  /** By which it is opened here, and nowhere else: the number of its first message. Null where nothing was said. */
  readonly key: string | null
  readonly state: string
  readonly startedAt: string
  readonly lastAt: string
  readonly isCompleted: boolean
  readonly messages: number
  readonly steps: number
  readonly risks: number
}

export interface YarnReport extends SystemPlace {
  readonly states: Counts
  readonly completed: number
  readonly risksToday: number
  readonly sessions: readonly YarnView[]
}

/** Of `public.sessions s`, as {@link YarnView} has them. */
export const yarnColumns = `
  left(s.session_id, least(8, length(s.session_id) / 2)) as id, s.fsm_state as state, s.created_at as "startedAt", s.last_activity as "lastAt",
  s.completed as "isCompleted",
  (select min(h.id)::text from public.chat_history h where h.session_id = s.session_id) as key,
  (select count(*)::int from public.chat_history h where h.session_id = s.session_id) as messages,
  (select count(*)::int from public.user_responses r where r.session_id = s.session_id and r.response is not null) as steps,
  (select count(*)::int from public.risk_detections d where d.session_id = s.session_id) as risks`

const yarnSql = `
  select json_build_object('states', ${countsOf('sessions', 'fsm_state', 'not completed')},
    'completed', (select count(*)::int from public.sessions where completed),
    'risksToday', (select count(*)::int from public.risk_detections where detected_at > now() - interval '24 hours'),
    'sessions', (select coalesce(json_agg(s), '[]') from (
      select ${yarnColumns} from public.sessions s order by s.last_activity desc, s.session_id limit 200) s))::text`

export interface ChatView {
  readonly id: string
  readonly user: string
  readonly status: string
  readonly messages: number
  readonly lastAt: string | null
  readonly startedAt: string
  readonly undoUntil: string | null
}

export interface ChatReport extends SystemPlace {
  readonly states: Counts
  readonly messagesLastHour: number
  readonly sessions: readonly ChatView[]
}

const chatSql = `
  select json_build_object('states', ${countsOf('chat_sessions', 'status')},
    'messagesLastHour', (select count(*)::int from public.chat_messages where created_at > now() - interval '1 hour'),
    'sessions', (select coalesce(json_agg(s), '[]') from (
      select id, user_id as "user", status, message_count as messages, last_message_at as "lastAt", created_at as "startedAt", undo_until as "undoUntil"
        from public.chat_sessions order by coalesce(last_message_at, created_at) desc, id limit 200) s))::text`

export interface AgentView {
  readonly id: string
  readonly type: string
  readonly status: string
  readonly reason: string | null
  readonly task: string | null
  readonly beatAt: string
  readonly completed: number
  readonly failed: number
}

export interface ExecutionView {
  readonly task: string
  readonly type: string
  readonly kind: string
  readonly status: string
  readonly priority: string
  readonly at: string
  readonly seconds: number | null
  readonly score: number | null
  readonly retries: number
  readonly error: string | null
}

/** What all agents did in a stretch of time. */
export interface AgentMetrics {
  readonly at: string
  readonly completed: number
  readonly failed: number
  readonly seconds: number | null
  readonly score: number | null
}

export interface AgentsReport extends SystemPlace {
  readonly agents: readonly AgentView[]
  readonly states: Counts
  readonly tasks: Counts
  readonly executions: readonly ExecutionView[]
  readonly metrics: readonly AgentMetrics[]
}

const agentsSql = `
  select json_build_object('states', ${countsOf('agent_instances', 'status')}, 'tasks', ${countsOf('agent_executions', 'status')},
    'agents', (select coalesce(json_agg(a), '[]') from (
      select agent_id as id, agent_type as type, status, left(status_reason, 300) as reason, current_task_id as task, last_heartbeat as "beatAt",
             total_tasks_completed as completed, total_tasks_failed as failed
        from public.agent_instances order by agent_type, agent_id limit 500) a),
    'executions', (select coalesce(json_agg(e), '[]') from (
      select task_id as task, agent_type as type, task_type as kind, status, priority, created_at as at, execution_time_seconds as seconds,
             quality_score as score, retry_count as retries, left(error_message, 300) as error
        from public.agent_executions order by created_at desc, id limit 200) e),
    'metrics', (select coalesce(json_agg(m order by m.at), '[]') from (
      select period_start as at, sum(tasks_completed)::int as completed, sum(tasks_failed)::int as failed,
             sum(average_execution_time * tasks_completed) / nullif(sum(tasks_completed), 0) as seconds,
             sum(average_quality_score * tasks_completed) / nullif(sum(tasks_completed), 0) as score
        from public.agent_metrics group by period_start order by period_start desc limit 120) m))::text`

interface Reports {
  readonly tours: ToursReport
  readonly leads: LeadsReport
  readonly yarn: YarnReport
  readonly chat: ChatReport
  readonly agents: AgentsReport
}

const notPresent: SystemPlace = { isPresent: false, database: null }

const absent: Reports = {
  tours: { ...notPresent, tours: [], states: {}, crm: {}, untold: 0 },
  leads: { ...notPresent, stages: {}, leads: [], approvals: {}, inbox: [] },
  yarn: { ...notPresent, states: {}, completed: 0, risksToday: 0, sessions: [] },
  chat: { ...notPresent, states: {}, messagesLastHour: 0, sessions: [] },
  agents: { ...notPresent, agents: [], states: {}, tasks: {}, executions: [], metrics: [] },
}

const reportOf = async <N extends SystemName>(
  reads: SystemReads,
  name: N,
  sql: string,
  values: readonly string[] = [],
): Promise<Reports[N]> => {
  const found = await findSystem(reads, name)
  if (found === undefined) return absent[name]
  const report = await found.reads.json<Omit<Reports[N], keyof SystemPlace>>(everything, sql, values)
  return { isPresent: true, database: found.database, ...report } as Reports[N]
}

export const systemTours = (reads: SystemReads, { from, to }: z.output<typeof dayRequest>): Promise<ToursReport> =>
  reportOf(reads, 'tours', toursSql, [from, to])
export const systemLeads = (reads: SystemReads): Promise<LeadsReport> => reportOf(reads, 'leads', leadsSql)
export const systemYarn = (reads: SystemReads): Promise<YarnReport> => reportOf(reads, 'yarn', yarnSql)
export const systemChat = (reads: SystemReads): Promise<ChatReport> => reportOf(reads, 'chat', chatSql)
export const systemAgents = (reads: SystemReads): Promise<AgentsReport> => reportOf(reads, 'agents', agentsSql)
