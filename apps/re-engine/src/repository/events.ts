/** What happened, in Postgres: only added to. Most of it is written by triggers, whoever changes the row. */
import { EngineError } from '../engine-error.js'
import { type Inbound, parsePlace } from '../input.js'
import type { Db, Lead, LeadEvent, Page } from '../rows.js'
import { after, firstOf, pageOf, rowsOf, selected, tables } from '../tables.js'
import { findLead, findLeadByAddress } from './leads.js'

const columns = [
  'id',
  'lead_id',
  'agent_id',
  'approval_id',
  'event_type',
  'channel',
  'direction',
  'source',
  'content',
  'data',
  'external_id',
  'actor',
  'occurred_at',
  'created_at',
] as const satisfies readonly (keyof LeadEvent)[]

const select = tables.selectFrom('events').select(columns)

export interface EventsList {
  readonly event_type?: LeadEvent['event_type'] | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Of a lead, the latest first. */
export const eventsOf = async (
  db: Db,
  leadId: string,
  { event_type: type, limit, cursor }: EventsList,
): Promise<Page<LeadEvent>> => {
  const [time, id] = parsePlace(cursor)
  let wanted = select.where('lead_id', '=', leadId)
  if (type !== undefined) wanted = wanted.where('event_type', '=', type)
  if (time !== null) wanted = wanted.where(after(time, id, 'occurred_at'))
  const rows = await rowsOf(
    db,
    wanted
      .orderBy('occurred_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1),
  )
  return pageOf(rows, limit, ({ occurred_at }) => occurred_at)
}

export interface Added {
  readonly event: LeadEvent
  /** False where it was there already: told twice. */
  readonly isNew: boolean
}

export interface NewEvent {
  readonly leadId: string | null
  readonly agentId?: string | null
  readonly type: LeadEvent['event_type']
  readonly source: string
  readonly externalId?: string | undefined
  readonly channel?: string | undefined
  readonly direction?: LeadEvent['direction'] | undefined
  readonly content?: string | undefined
  readonly data?: Readonly<Record<string, unknown>> | undefined
  readonly occurredAt?: string | undefined
}

/** What the same source tells twice is one event. Raises ENGINE_DUPLICATE where that id is an event which the caller may not see. */
export const addEvent = async (db: Db, given: NewEvent): Promise<Added> => {
  const { leadId, agentId, type, source, externalId, channel, direction, content, data, occurredAt } = given
  const values = {
    lead_id: leadId,
    event_type: type,
    source,
    ...(agentId != null && { agent_id: agentId }),
    ...(externalId !== undefined && { external_id: externalId }),
    ...(channel !== undefined && { channel }),
    ...(direction !== undefined && { direction }),
    ...(content !== undefined && { content }),
    ...(data !== undefined && { data }),
    ...(occurredAt !== undefined && { occurred_at: occurredAt }),
  }
  const insert = tables
    .insertInto('events')
    .values(values)
    .onConflict((conflict) => conflict.doNothing())
  const made = await firstOf(db, insert.returning(columns))
  if (made) return { event: made, isNew: true }
  const known = await firstOf(db, select.where('source', '=', source).where('external_id', '=', externalId ?? ''))
  if (!known) throw new EngineError('ENGINE_DUPLICATE', 'There is an event with that id.')
  return { event: known, isNew: false }
}

/** The words by which people ask to be left alone, and those that take it back; nothing else may be in the message … */
const stopWords = /^\W*(stop|stop\s?all|unsubscribe|cancel|end|quit|opt[\s-]?out|arr[eê]t(er)?|désabonner|desabonner)\W*$/iu
const startWords = /^\W*(start|unstop|resubscribe)\W*$/iu

export type Wish = 'stop' | 'start' | null

/** … but what a mail ends with, or answers, behind whoever asks to be left alone. */
const firstPart = (words: string): string => words.split(/\r?\n(?:[^\S\n]*\r?\n|>|--|__|(?=On .{0,200} wrote:))/)[0]!

export const wishOf = (text: string): Wish => {
  const words = text.normalize('NFC').trim()
  if (stopWords.test(firstPart(words))) return 'stop'
  return startWords.test(words) ? 'start' : null
}

export interface Received extends Added {
  readonly wish: Wish
  readonly lead: Lead | null
}

/** A word of theirs outlives a bounce, which others may lift. */
const block = (db: Db, ids: readonly string[], reason: 'unsubscribed' | 'bounced') =>
  db.query(
    `update public.leads set do_not_contact = true, contact_block_reason = $2
      where id = any ($1::uuid[]) and (not do_not_contact or ($2 = 'unsubscribed' and contact_block_reason = 'bounced'))`,
    [ids, reason],
  )

/** Only what was said by the same word is taken back: a bounce that nobody has lifted, or an agent's own word, stays. */
const unblock = (db: Db, ids: readonly string[]) =>
  db.query(
    `with told as (
       select l.id, exists (
         select from public.events e
          where e.lead_id = l.id and e.event_type = 'bounced'
            and not exists (
              select from public.events a where a.lead_id = l.id and a.event_type = 'contact_allowed' and a.id > e.id)) as bounced
         from public.leads l where l.id = any ($1::uuid[]) and l.contact_block_reason = 'unsubscribed')
     update public.leads l set do_not_contact = t.bounced, contact_block_reason = case when t.bounced then 'bounced' end
       from told t where l.id = t.id`,
    [ids],
  )

/** Before an address, as some carriers write it. */
const schemes = /^(?:tel|sms|whatsapp|mailto):/

/** As leads have it: many carriers leave out the plus, or write 00 for it. */
const phoneOf = (address: string): string => address.replace(/[\s().-]/g, '').replace(/^(?:00|\+)?(?=[1-9]\d{6,14}$)/, '+')

/** Leads for whom somebody was, or is to be, written to at an address that is not their own; the last one first. */
const leadsWrittenTo = async (db: Db, addresses: readonly string[]): Promise<readonly string[]> => {
  const sql = `select lead_id as id from public.approvals where lower(draft_to) = any ($1) group by lead_id order by max(created_at) desc, lead_id`
  return (await selected<{ id: string }>(db, sql, [addresses])).map(({ id }) => id)
}

/**
 * A message that came in, or one that came back. Whoever asks to be left alone is from here on, in the same transaction: what waits for approval or
 * to be sent is cancelled. As the server.
 */
export const receive = async (
  db: Db,
  { source, external_id: externalId, kind, channel, from, text, occurred_at: occurredAt }: Inbound,
): Promise<Received> => {
  const address = from.trim().toLowerCase().replace(schemes, '')
  const phone = phoneOf(address)
  const wish = kind === 'message' ? wishOf(text) : null
  const own = await findLeadByAddress(db, address.includes('@') ? { email: address } : { phone })
  const ids = own ? [own.id] : wish === null ? [] : await leadsWrittenTo(db, [address, phone])
  const found = own ?? (ids[0] === undefined ? null : await findLead(db, ids[0]))
  // The leads before the event that names one, as everybody takes them.
  if (ids.length > 0) await selected(db, 'select from public.leads where id = any ($1::uuid[]) order by id for update', [ids])
  const added = await addEvent(db, {
    leadId: found?.id ?? null,
    agentId: found?.assigned_agent ?? null,
    type: kind === 'bounce' ? 'bounced' : 'message_received',
    source,
    externalId,
    channel,
    direction: 'inbound',
    content: text,
    data: { from },
    occurredAt,
  })
  if (found && added.isNew) {
    if (kind === 'bounce') await block(db, ids, 'bounced')
    else if (wish === 'stop') await block(db, ids, 'unsubscribed')
    else if (wish === 'start') await unblock(db, ids)
  }
  const lead = found && (await findLead(db, found.id))
  return { ...added, wish, lead }
}
