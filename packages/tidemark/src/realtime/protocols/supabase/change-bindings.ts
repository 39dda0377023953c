import { createHash } from 'node:crypto'
import type { Binding, ChangeEvent } from '../../realtime.js'

type Params = Readonly<Record<string, unknown>>

/** One entry of `postgres_changes`. */
export interface ChangeBinding {
  /** By which clients find their callback: from 1 up to below 2^27. Equal entries have equal ids, different ones of a channel different ids. */
  readonly id: number
  readonly params: Params
}

const idsBelow = 2 ** 27

/** JSON that is the same for entries whose keys stand in another order. */
const canonical = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`).join(',')}}`
}

const hashOf = (text: string): number => createHash('sha256').update(text).digest().readUInt32BE() % idsBelow

/** Gives each entry its id, the same one in every process and after every reconnect. */
export const withIds = (entries: readonly Params[]): readonly ChangeBinding[] => {
  const known = new Map<string, number>()
  const taken = new Set<number>()
  return entries.map((params) => {
    const text = canonical(params)
    let id = known.get(text) ?? hashOf(text)
    while (id === 0 || (taken.has(id) && !known.has(text))) id = (id + 1) % idsBelow
    known.set(text, id)
    taken.add(id)
    return { id, params }
  })
}

/** What was asked for, in a form that is the same after every reconnect. */
export const fingerprintOf = (bindings: readonly ChangeBinding[]): string =>
  bindings.map(({ params }) => canonical(params)).join('\n')

const events: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', '*']

const textOf = (params: Params, name: string): string | undefined => {
  const value = params[name] ?? undefined
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw new Error(`${name} is no text`)
  return value
}

const selectOf = ({ select = null }: Params): readonly string[] | undefined => {
  if (select === null || select === '') return undefined
  const columns = typeof select === 'string' ? select.split(',').map((name) => name.trim()) : select
  if (!Array.isArray(columns) || !columns.every((name) => typeof name === 'string'))
    throw new Error('select is no list of columns')
  return columns.length === 0 ? undefined : columns
}

/** Raises where an entry cannot mean anything; whether its table and columns exist is asked later. */
export const toBinding = ({ params }: ChangeBinding): Binding => {
  const event = textOf(params, 'event')?.toUpperCase() ?? '*'
  if (!events.includes(event)) throw new Error(`there is no event ${event.slice(0, 100)}`)
  const table = textOf(params, 'table')
  const schema = textOf(params, 'schema') ?? (table === undefined ? '*' : 'public')
  return { event: event as ChangeEvent | '*', schema, table, filter: textOf(params, 'filter'), select: selectOf(params) }
}

const shown = (value: unknown, otherwise: string): string => {
  if (value === undefined || value === null || value === '') return otherwise
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 500)
}

/** What a client is told where its changes cannot be told, in Supabase's words and then in ours. */
export const unableToSubscribe = (bindings: readonly ChangeBinding[], reason: string): string => {
  const asked = bindings.map(({ params: { event, schema, table, filter, select } }) => {
    const where = `event: ${shown(event, '*')}, schema: ${shown(schema, 'public')}, table: ${shown(table, '*')}`
    return `[${where}, filters: ${shown(filter, '[]')}, select: ${shown(select, 'nil')}]`
  })
  const please = 'Please check Realtime is enabled for the given connect parameters'
  return `Unable to subscribe to changes with given parameters. ${please}: ${asked.join(', ')}. ${reason}`
}
