import type { Caller } from '../../../../auth/caller.js'
import { TidemarkError } from '../../../../errors.js'
import type { Position } from '../../../../feed/position.js'
import type {
  Binding,
  ChangeEvent,
  ChangeSubscription,
  Changes,
  Gap,
  Json,
  ListenOptions,
  VisibleChange,
} from '../../../realtime.js'

type Row = Readonly<Record<string, Json>>

interface Told {
  readonly change: VisibleChange
  readonly row: Row
}

/** A listener as the tests see it. */
export interface MemoryListener {
  readonly options: ListenOptions
  caller: Caller
  readonly acknowledged: Position[]
  closed: false | 'ended' | 'mayReturn'
}

/** Changes that a test makes, with equality filters. What a protocol does with them is tested, not how they are found. */
export interface MemoryChanges extends Changes {
  readonly listeners: MemoryListener[]
  /** How often somebody asked to listen. */
  asked(): number
  /** The next listener waits until this is called. */
  hold(): () => void
  /** One transaction. Gives its position. */
  commit(...changes: readonly [event: ChangeEvent, table: string, row: Row, old?: Row][]): Position
  gap(gap: Omit<Gap, 'position'>): void
  fail(reason: string): void
  /** From now on the role sees nothing of a table: `setCaller` is refused. */
  forbid(table: string): void
}

const epoch = 'memory-1'
const columnsOf = (row: Row): VisibleChange['columns'] =>
  Object.entries(row).map(([name, value]) => ({ name, type: typeof value === 'number' ? 'int4' : 'text' }))

const matches = ({ event, schema, table, filter }: Binding, { change, row }: Told): boolean => {
  if (event !== '*' && event !== change.event) return false
  if (schema !== '*' && schema !== change.schema) return false
  if (table !== undefined && table !== '*' && table !== change.table) return false
  const [, column = '', value] = /^(\w+)=eq\.(.*)$/.exec(filter ?? '') ?? []
  return filter === undefined || String(row[column]) === value
}

const wrong = (reason: string) => new TidemarkError('TM_REALTIME_BINDING', { reason })

export const createMemoryChanges = (tables: readonly string[]): MemoryChanges => {
  const listeners: MemoryListener[] = []
  const log: Told[] = []
  const forbidden = new Set<string>()
  let number = 100n
  let asked = 0
  let holding: Promise<void> | undefined

  const position = (): Position => ({ epoch, number })
  const check = ({ table }: Binding): void => {
    if (table !== undefined && table !== '*' && !tables.includes(table)) throw wrong(`There is no table ${table}`)
    if (forbidden.has(table ?? '')) throw wrong(`Nothing of ${table} may be read`)
  }
  const open = () => listeners.filter(({ closed }) => closed === false)

  const tell = ({ options }: MemoryListener, told: Told): void => {
    const indexes = options.bindings.flatMap((binding, index) => (matches(binding, told) ? [index] : []))
    if (indexes.length > 0) options.listener.change(told.change, indexes)
  }

  const subscriptionOf = (listener: MemoryListener): ChangeSubscription => ({
    start: position(),
    setCaller: async (caller) => {
      for (const binding of listener.options.bindings) check(binding)
      listener.caller = caller
    },
    acknowledged: (reached) => void listener.acknowledged.push(reached),
    close: (mayReturn = false) => {
      listener.closed = mayReturn ? 'mayReturn' : 'ended'
    },
  })

  return {
    listeners,
    asked: () => asked,
    listen: async (options) => {
      asked += 1
      await holding
      for (const binding of options.bindings) check(binding)
      const listener: MemoryListener = { options, caller: options.caller, acknowledged: [], closed: false }
      listeners.push(listener)
      const { from, ordinal = Number.POSITIVE_INFINITY } = options
      if (from) {
        const isNew = ({ change }: Told) =>
          change.position.number > from.number || (change.position.number === from.number && change.ordinal > ordinal)
        for (const told of log.filter(isNew)) tell(listener, told)
        options.listener.passed(position())
      }
      return subscriptionOf(listener)
    },
    hold: () => {
      let free: () => void = () => undefined
      holding = new Promise((resolve) => {
        free = resolve
      })
      return free
    },
    commit: (...changes) => {
      number += 1n
      const committedAt = new Date(Date.UTC(2024, 0, 1, 12, 30, 0, 123))
      const told = changes.map(([event, table, row, old], ordinal): Told => {
        const columns = columnsOf(row)
        const record = event === 'DELETE' ? undefined : row
        const oldRecord = event === 'INSERT' ? undefined : (old ?? row)
        const change: VisibleChange = {
          position: position(),
          ordinal,
          event,
          schema: 'public',
          table,
          committedAt,
          columns,
          record,
          oldRecord,
          errors: null,
          columnsJson: JSON.stringify(columns),
          recordJson: record && JSON.stringify(record),
          oldRecordJson: oldRecord && JSON.stringify(oldRecord),
        }
        return { change, row }
      })
      log.push(...told)
      for (const listener of open()) {
        for (const each of told) tell(listener, each)
        listener.options.listener.passed(position())
      }
      return position()
    },
    gap: (gap) => {
      for (const { options } of open()) options.listener.gap({ ...gap, position: position() })
    },
    fail: (reason) => {
      for (const { options } of open()) options.listener.failed(reason)
    },
    forbid: (table) => void forbidden.add(table),
    stop: async () => undefined,
  }
}
