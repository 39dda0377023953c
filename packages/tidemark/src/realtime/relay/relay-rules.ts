import { type Change, isRowChange, ordinalOf, type TransactionPiece, tableName } from '../../feed/feed.js'
import { typedChange } from '../../feed/follow/on-tables.js'
import { formatPosition } from '../../feed/position.js'
import type { ChangeEvent, Json } from '../realtime.js'
import { type RelayChange, type RelayMessage, type RelayRecord, type RelayRule, relayGapEvent } from './relay.js'

const events = { insert: 'INSERT', update: 'UPDATE', delete: 'DELETE' } as const satisfies Record<string, ChangeEvent>

const relayChange = (change: Change, ordinal: number, { position, committedAt }: TransactionPiece): RelayChange | undefined => {
  if (!isRowChange(change)) return undefined
  const { old, new: record } = typedChange(change)
  const { schema, table } = change.relation
  const id = `${formatPosition({ epoch: position.epoch, number: position.number })}-${ordinal}`
  return {
    id,
    position,
    ordinal,
    event: events[change.kind],
    schema,
    table,
    committedAt,
    record: record as RelayRecord | null,
    old: old as RelayRecord | null,
  }
}

/** Infinities and NaN are no JSON. */
const asJson = (value: unknown): Json => JSON.parse(JSON.stringify(value ?? null)) as Json

const dataOf = ({ data }: RelayRule, change: RelayChange): RelayMessage['data'] => {
  if (typeof data === 'function') return data(change)
  const record = change.record ?? change.old ?? {}
  return Object.fromEntries(data.filter((column) => column in record).map((column) => [column, asJson(record[column])]))
}

/** Longer than any target takes; and within what an index can hold. */
const longestName = 500

/** Names are kept as text: whatever text cannot hold would come back for ever. */
const isName = (name: unknown): boolean =>
  typeof name === 'string' && name.length <= longestName && !/\0|[\ud800-\udfff]/u.test(name)

const checked = (message: RelayMessage): RelayMessage => {
  if (![message.channel, message.event, message.id].every(isName)) throw new Error('a rule gave a name that is none')
  return message
}

const messageOf = (rule: RelayRule, change: RelayChange): RelayMessage | undefined => {
  if (rule.events && !rule.events.includes(change.event)) return undefined
  if (rule.when && !rule.when(change)) return undefined
  return checked({
    channel: typeof rule.channel === 'function' ? rule.channel(change) : rule.channel,
    event: typeof rule.event === 'function' ? rule.event(change) : rule.event,
    data: dataOf(rule, change),
    id: rule.id?.(change) ?? change.id,
    committedAt: change.committedAt,
  })
}

export const gapMessage = (channel: string, reason: string, id: string): RelayMessage => ({
  channel,
  event: relayGapEvent,
  data: { reason },
  id,
})

export interface RuleOutcome {
  readonly messages: readonly RelayMessage[]
  readonly changes: readonly RelayChange[]
}

export interface Rules {
  readonly tables: readonly string[]
  /** Channels that are fixed by a rule: they can be told of what cannot be told row by row. Of one table, or of all. */
  channels(table?: string): readonly string[]
  apply(piece: TransactionPiece, wanted: (table: string) => boolean): RuleOutcome
}

/** `onError`: a rule raised; its change is not told, the others are. */
export const compileRules = (
  rules: readonly RelayRule[],
  more: readonly string[],
  onError: (error: unknown, change: RelayChange) => void,
): Rules => {
  const byTable = new Map<string, readonly RelayRule[]>()
  for (const rule of rules) byTable.set(rule.table, [...(byTable.get(rule.table) ?? []), rule])
  const channels = (table?: string): readonly string[] => {
    const of = table === undefined ? rules : (byTable.get(table) ?? [])
    return [...new Set(of.flatMap(({ channel }) => (typeof channel === 'string' ? [channel] : [])))]
  }
  const told = (rule: RelayRule, change: RelayChange): readonly RelayMessage[] => {
    try {
      const message = messageOf(rule, change)
      return message ? [message] : []
    } catch (error) {
      onError(error, change)
      return typeof rule.channel === 'string' ? [gapMessage(rule.channel, 'failed', change.id)] : []
    }
  }
  return {
    tables: [...new Set([...byTable.keys(), ...more])],
    channels,
    apply: (piece, wanted) => {
      const messages: RelayMessage[] = []
      const changes: RelayChange[] = []
      piece.changes.forEach((raw, index) => {
        const table = tableName(raw.relation)
        const ordinal = ordinalOf(piece, index)
        const asked = byTable.get(table)
        if (!asked && !wanted(table)) return
        const change = relayChange(raw, ordinal, piece)
        if (change) {
          for (const rule of asked ?? []) messages.push(...told(rule, change))
          changes.push(change)
          return
        }
        const id = `${formatPosition({ epoch: piece.position.epoch, number: piece.position.number })}-${ordinal}`
        for (const channel of channels(table)) messages.push(gapMessage(channel, 'tableChanged', id))
      })
      return { messages, changes }
    },
  }
}
