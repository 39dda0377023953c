/**
 * One yarn of the chatbot: the course of it, in which no word stands; and its words, for an admin who gives a reason. Whose look the audit log does
 * not have is not answered (`server/admin/gate.ts`).
 */
import { z } from 'zod'
import { everything, findSystem, type SystemReads, type YarnView, yarnColumns } from './systems.js'

/** One message, without what it says. */
export interface YarnTurn {
  /** Of the message, under which its words come. */
  readonly number: string
  readonly role: 'user' | 'bot'
  /** ISO 8601. */
  readonly at: string
  /** Where the yarn stood, or was led to by it. */
  readonly state: string
  /** What an answer to a step was taken for; null for every other message. */
  readonly intent: string | null
  /** What the risk check found in it. */
  readonly risk: YarnRisk | null
}

export interface YarnRisk {
  /** The gravest, where it found several; null where no list has the phrase any more. */
  readonly tier: 'high' | 'medium' | null
  /** The helplines. False where they were missing once. */
  readonly resourcesShown: boolean
}

export interface YarnCourse {
  /** Null where it is not kept, or not any more. */
  readonly yarn: YarnView | null
  /** The newest 500 messages, oldest first. */
  readonly turns: readonly YarnTurn[]
}

export interface YarnWords {
  /** Of the same messages. Empty where the yarn is not kept any more. */
  readonly words: readonly { readonly number: string; readonly text: string }[]
}

/** Of {@link YarnView}. */
const key = z.string().regex(/^\d{1,18}$/)

export const courseRequest = z.strictObject({ key })

/** `reason`: for the audit log, which keeps it with who asked, when and for which yarn. */
export const wordsRequest = z.strictObject({ key, reason: z.string().trim().min(1).max(300) })

const mostShown = 500

/** The session whose first message is `$1`, and its newest messages. */
const saidSql = `
  with yarn as (
    select s.* from public.chat_history h join public.sessions s using (session_id)
     where h.id = $1::bigint and not exists (select from public.chat_history e where e.session_id = h.session_id and e.id < h.id)),
  said as (
    select h.id, h.role, h.ts, h.message from public.chat_history h join yarn using (session_id)
     order by h.ts desc, h.id desc limit ${mostShown})`

const nearest = (at: string): string => `abs(extract(epoch from m.ts - ${at})), m.id`

/**
 * What was found in a message names it by its words and its time. A state is noted with the answers to the steps alone, and a yarn moves on by
 * nothing else: what was said before such an answer was said where it was given. That high comes before medium is the alphabet's.
 */
const courseSql = (tier: string): string => `
  ${saidSql},
  taken as (
    select distinct on (m.id) m.id, c.classified_intent as intent, c.fsm_state as state
      from public.intent_classifications c join yarn using (session_id)
      join lateral (select m.id from said m where m.role = 'user' and m.message = c.user_message order by ${nearest('c.created_at')} limit 1) m on true
     order by m.id, c.id),
  found as (
    select m.id, min(${tier}) as tier, bool_and(d.resources_shown) as shown
      from public.risk_detections d join yarn using (session_id)
      join lateral (
        select m.id from said m where m.role = 'user' order by (m.message = d.user_message) desc, ${nearest('d.detected_at')} limit 1) m on true
     group by m.id),
  placed as (
    select m.*, t.intent, t.state, count(t.state) over (order by m.ts desc, m.id desc) as stretch from said m left join taken t using (id)),
  turns as (
    select p.id::text as number, p.role, p.ts as at, p.intent,
           coalesce(p.state, case when p.id = $1::bigint then 'welcome' end, max(p.state) over (partition by p.stretch), y.fsm_state) as state,
           case when f.id is not null then json_build_object('tier', f.tier, 'resourcesShown', f.shown) end as risk
      from placed p cross join yarn y left join found f on f.id = p.id
     order by p.ts, p.id)
  select json_build_object('yarn', (select row_to_json(v) from (select ${yarnColumns} from yarn s) v),
    'turns', (select coalesce(json_agg(t), '[]') from turns t))::text`

const wordsSql = `
  ${saidSql}
  select json_build_object('words', (select coalesce(json_agg(json_build_object('number', id::text, 'text', message) order by ts, id), '[]') from said))::text`

const tierThere = `select to_json(to_regprocedure('public.risk_tier(text)') is not null)::text`

/** How a yarn went, without a word of it. Empty where it, or the application, is not here. */
export const yarnCourse = async (reads: SystemReads, of: string): Promise<YarnCourse> => {
  const found = await findSystem(reads, 'yarn')
  if (!found) return { yarn: null, turns: [] }
  // An application whose last migration waits still has its yarns.
  const hasTiers = await found.reads.json<boolean>(everything, tierThere)
  return found.reads.json<YarnCourse>(everything, courseSql(hasTiers ? 'public.risk_tier(d.trigger_phrase)' : 'null::text'), [of])
}

/** What was said in it. Nothing of it may be logged, nor kept. */
export const yarnWords = async (reads: SystemReads, of: string): Promise<YarnWords> => {
  const found = await findSystem(reads, 'yarn')
  return found ? found.reads.json<YarnWords>(everything, wordsSql, [of]) : { words: [] }
}
