/** Leads in Postgres. Whoever `db` acts for sees those that are theirs; others are not there. */
import { type SqlBool, sql } from 'kysely'
import { EngineError } from '../engine-error.js'
import { type LeadChangeInput, type LeadsQuery, type NewLeadInput, parsePlace } from '../input.js'
import type { Db, Lead, Page } from '../rows.js'
import { goesBack, leadMoves, mayGo } from '../states.js'
import { after, firstOf, given, leadColumns, pageOf, rowsOf, selected, tables } from '../tables.js'

const select = tables.selectFrom('leads').select(leadColumns)

/** Null where there is none, or where it is somebody else's. */
export const findLead = (db: Db, id: string): Promise<Lead | null> => firstOf(db, select.where('id', '=', id))

/** Raises ENGINE_NOT_FOUND. */
export const requireLead = async (db: Db, id: string): Promise<Lead> => {
  const lead = await findLead(db, id)
  if (!lead) throw new EngineError('ENGINE_NOT_FOUND')
  return lead
}

/** The lead comes first, as everybody takes it. Raises ENGINE_NOT_FOUND. */
export const lockLead = async (db: Db, id: string): Promise<Lead> => {
  const lead = await firstOf(db, select.where('id', '=', id).forUpdate())
  if (!lead) throw new EngineError('ENGINE_NOT_FOUND')
  return lead
}

type Address = Pick<NewLeadInput, 'email' | 'phone'>

/** By e-mail address first, then by number. */
export const findLeadByAddress = async (db: Db, { email, phone }: Address): Promise<Lead | null> => {
  const named = [...(email ? [sql<SqlBool>`email = ${email}`] : []), ...(phone ? [sql<SqlBool>`phone = ${phone}`] : [])]
  if (named.length === 0) return null
  const isByEmail = sql`(email is not distinct from ${email ?? null}) desc`
  return firstOf(
    db,
    select
      .where((eb) => eb.or(named))
      .orderBy(isByEmail)
      .limit(1),
  )
}

/** Whose turn it is; null where no active agent has room. Raises ENGINE_FORBIDDEN. */
const nextAgent = async (db: Db, besides: string | null = null): Promise<string | null> => {
  const [row] = await selected<{ agent: string | null }>(db, 'select re_engine.next_agent($1) as agent', [besides])
  return row?.agent ?? null
}

/** Says why a lead could not be given to somebody. */
const assigning = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    const constraint = constraintOf(error)
    if (constraint === 'leads_agent_load' || constraint === 'leads_agent_active')
      throw new EngineError('ENGINE_AGENT_BUSY', undefined, { cause: error })
    throw error
  }
}

/** Which of the rules of the tables refused. */
const constraintOf = (error: unknown): string | undefined => {
  for (
    let each = error as { readonly constraint?: unknown; readonly cause?: unknown } | undefined;
    each;
    each = each.cause as typeof each
  )
    if (typeof each.constraint === 'string') return each.constraint
  return undefined
}

export interface Duplicate {
  readonly duplicateOf: Lead | null
}

/** Instead of an agent: whose turn it is. */
export const inTurn = Symbol('in turn')

/**
 * Makes a lead for an agent, for nobody, or for whose turn it is; where somebody has its e-mail address or number, tells who, as far as the caller
 * may know. Raises ENGINE_AGENT_BUSY.
 */
export const createLead = async (
  db: Db,
  { assigned_agent: _, ...wanted }: NewLeadInput,
  keeper: string | null | typeof inTurn,
): Promise<Lead | Duplicate> => {
  const known = await findLeadByAddress(db, wanted)
  if (known) return { duplicateOf: known }
  // Within the statement, so that whoever comes next waits for it and for nothing else.
  const agent = keeper === inTurn ? sql<string | null>`re_engine.next_agent()` : keeper
  const insert = tables
    .insertInto('leads')
    .values({ ...given(wanted), assigned_agent: agent })
    .onConflict((conflict) => conflict.doNothing())
    .returning(leadColumns)
  const made = await assigning(firstOf(db, insert))
  return made ?? { duplicateOf: await findLeadByAddress(db, wanted) }
}

const fillable = [
  'email',
  'phone',
  'property_address',
  'city',
  'province',
  'postal_code',
  'property_type',
  'price_range',
  'timeline',
  'source',
] as const

/** What the lead lacked is taken over; what it has stays. Raises ENGINE_DUPLICATE. */
export const mergeLead = async (db: Db, id: string, wanted: NewLeadInput): Promise<Lead> => {
  const lead = await lockLead(db, id)
  const fresh = Object.fromEntries(
    fillable.flatMap((name) => (lead[name] === null && wanted[name] ? [[name, wanted[name]]] : [])),
  )
  const more = Object.keys(wanted.metadata ?? {}).some((name) => !(name in lead.metadata))
  if (Object.keys(fresh).length === 0 && !more) return lead
  const set = { ...fresh, metadata: { ...wanted.metadata, ...lead.metadata } }
  return (await firstOf(db, tables.updateTable('leads').set(set).where('id', '=', id).returning(leadColumns)))!
}

const requireMove = (lead: Lead, { status, reason }: LeadChangeInput): void => {
  if (status === undefined || status === lead.status) return
  if (!mayGo(leadMoves, lead.status, status)) throw new EngineError('ENGINE_ILLEGAL_MOVE')
  if (goesBack(lead.status, status) && reason === undefined) {
    const details = { fields: { reason: 'a step back has one' } }
    throw new EngineError('ENGINE_INVALID', 'reason: a step back has one.', { details })
  }
}

/** Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE, ENGINE_CHANGED, ENGINE_INVALID, ENGINE_DUPLICATE. */
export const changeLead = async (db: Db, id: string, change: LeadChangeInput): Promise<Lead> => {
  const lead = await lockLead(db, id)
  const { version, reason, ...wanted } = change
  if (version !== undefined && version !== lead.version) throw new EngineError('ENGINE_CHANGED')
  requireMove(lead, change)
  const { status, ...rest } = wanted
  const moves = status !== undefined && status !== lead.status
  const set = { ...given(blocking(rest)), ...(moves && { status, status_reason: reason ?? null }) }
  if (Object.keys(set).length === 0) return lead
  const update = tables.updateTable('leads').set(set).where('id', '=', id).returning(leadColumns)
  return (await firstOf(db, update))!
}

/** A reason alone blocks; without one it is a plain do-not-contact. */
const blocking = (change: Omit<LeadChangeInput, 'version' | 'reason' | 'status'>): typeof change =>
  change.contact_block_reason && change.do_not_contact === undefined ? { ...change, do_not_contact: true } : change

/** Raises ENGINE_NOT_FOUND, ENGINE_AGENT_BUSY, ENGINE_FORBIDDEN. */
export const assignLead = async (db: Db, id: string, agentId?: string): Promise<Lead> => {
  const lead = await lockLead(db, id)
  const agent = agentId ?? (await nextAgent(db, lead.assigned_agent))
  if (agent === null) throw new EngineError('ENGINE_AGENT_BUSY', 'No agent has room for it.')
  if (agent === lead.assigned_agent) return lead
  const update = tables.updateTable('leads').set({ assigned_agent: agent }).where('id', '=', id).returning(leadColumns)
  return (await assigning(firstOf(db, update)))!
}

/** Raises ENGINE_NOT_FOUND; ENGINE_FORBIDDEN where the caller sees it and may not. */
export const deleteLead = async (db: Db, id: string): Promise<Lead> => {
  await requireLead(db, id)
  const gone = await firstOf(db, tables.deleteFrom('leads').where('id', '=', id).returning(leadColumns))
  if (!gone) throw new EngineError('ENGINE_FORBIDDEN', 'Only an admin may do this.')
  return gone
}

/** Each word, or its beginning; nothing of it is read as a query. */
const searchOf = (words: string): string =>
  (words.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).map((word) => `${word}:*`).join(' & ')

/** The newest first. */
export const listLeads = async (db: Db, query: LeadsQuery): Promise<Page<Lead>> => {
  const { agent_id: agent, do_not_contact: isBlocked, q, limit, cursor } = query
  const [time, id] = parsePlace(cursor)
  let wanted = select
  for (const name of ['status', 'city', 'province', 'property_type', 'price_range', 'source'] as const)
    if (query[name] !== undefined) wanted = wanted.where(name, '=', query[name] as never)
  if (agent !== undefined)
    wanted = agent === 'none' ? wanted.where('assigned_agent', 'is', null) : wanted.where('assigned_agent', '=', agent)
  if (isBlocked !== undefined) wanted = wanted.where('do_not_contact', '=', isBlocked === 'true')
  if (q !== undefined) {
    const search = searchOf(q)
    if (search === '') return { rows: [], next: null }
    wanted = wanted.where(sql<SqlBool>`re_engine.search_of(leads) @@ to_tsquery('simple', ${search})`)
  }
  if (time !== null) wanted = wanted.where(after(time, id))
  const rows = await rowsOf(
    db,
    wanted
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1),
  )
  return pageOf(rows, limit, ({ created_at }) => created_at)
}

/** Whether {@link assignWaiting} has something to do: somebody waits, and somebody has room. */
export const areWaiting = async (db: Db): Promise<boolean> => {
  const [row] = await selected<{ due: boolean }>(
    db,
    `select exists (select from public.leads where assigned_agent is null and status in ('new', 'contacted', 'qualified', 'nurturing'))
        and exists (select from public.agents a where a.status = 'active' and re_engine.open_leads(a.id) < a.max_active_leads) as due`,
  )
  return row!.due
}

/** Gives leads that nobody looks after to whose turn it is, while there is room. As the server; gives how many. */
export const assignWaiting = async (db: Db, most = 100): Promise<number> => {
  const waiting = await selected<{ id: string }>(
    db,
    `select id from public.leads
      where assigned_agent is null and status in ('new', 'contacted', 'qualified', 'nurturing')
      order by created_at, id limit $1 for update skip locked`,
    [most],
  )
  let given = 0
  for (const { id } of waiting) {
    const agent = await nextAgent(db)
    if (agent === null) break
    await db.query('update public.leads set assigned_agent = $2 where id = $1', [id, agent])
    given += 1
  }
  return given
}
