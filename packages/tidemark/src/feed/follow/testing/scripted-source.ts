import type { Change, FeedEvent, Relation, Source, TransactionPiece } from '../../feed.js'
import type { Position } from '../../position.js'

export const epoch = 'test-1'
export const at = (number: number, of = epoch): Position => ({ epoch: of, number: BigInt(number) })

const relations = new Map<string, Relation>()
export const relationOf = (table: string): Relation => {
  const relation = relations.get(table) ?? {
    oid: relations.size + 1,
    schema: 'public',
    table,
    identity: 'default',
    columns: [{ name: 'id', typeOid: 23, typeModifier: -1, isKey: true }],
  }
  relations.set(table, relation)
  return relation
}

/** `users 1`: row 1 was inserted into public.users. */
export const inserted = (text: string): Change => {
  const [table = '', id = ''] = text.split(' ')
  return { kind: 'insert', relation: relationOf(table), old: null, new: [id] }
}

export const piece = (number: number, changes: readonly string[], more: Partial<TransactionPiece> = {}): TransactionPiece => ({
  type: 'transaction',
  position: at(number),
  xid: BigInt(number),
  committedAt: new Date(0),
  firstOrdinal: 0,
  changes: changes.map(inserted),
  last: true,
  ...more,
})

export const start = (number = 0, more: object = {}): FeedEvent => ({
  type: 'reset',
  epoch,
  reason: 'start',
  position: at(number),
  ...more,
})

/** What a piece holds, as it was written. */
export const textsOf = ({ changes }: TransactionPiece): string[] =>
  changes.map(({ relation, new: row }) => `${relation.table} ${row?.[0]}`)

export interface ScriptedSource extends Source {
  give(...events: readonly FeedEvent[]): void
  /** As a source that cannot go on. */
  raise(error: Error): void
  /** How many events were taken. */
  readonly taken: number
  readonly confirmed: readonly Position[]
  readonly stopped: boolean
  readonly from: Position | undefined
}

/** A source that gives what it is told to, one event each time that it is asked. */
export const createScriptedSource = (): ScriptedSource => {
  const script: (FeedEvent | Error)[] = []
  const confirmed: Position[] = []
  let wake = (): void => {}
  let taken = 0
  let stopped = false
  let begun: Position | undefined
  return {
    kind: 'outbox',
    guarantee: 'exact',
    events: async function* (signal, from) {
      begun = from
      signal.addEventListener('abort', () => wake())
      while (!signal.aborted) {
        const next = script.shift()
        if (next instanceof Error) throw next
        if (next) {
          taken += 1
          yield next
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    },
    confirm: (position) => void confirmed.push(position),
    lag: async () => ({ head: null, confirmed: null, behind: 0, headroomBytes: null }),
    stop: async () => {
      stopped = true
    },
    give: (...events) => {
      script.push(...events)
      wake()
    },
    raise: (error) => {
      script.push(error)
      wake()
    },
    get taken() {
      return taken
    },
    get stopped() {
      return stopped
    },
    get from() {
      return begun
    },
    confirmed,
  }
}
