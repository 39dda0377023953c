import type { FeedReset, Follower, FreshnessProof, Relation, RowChange, TransactionPiece } from '../../feed/feed.js'
import { isRowChange } from '../../feed/feed.js'
import { changesBytes } from '../../feed/follow/piece-size.js'
import { losesNothing } from '../../feed/loses-nothing.js'
import type { TableId } from '../../feed/table-id.js'
import type { Logger } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { CarriedTables } from './keep/carried-tables.js'
import type { ChangeRing, RingChange, RingEntry } from './keep/change-ring.js'
import type { ToldTables } from './keep/told-tables.js'
import type { Beginnings } from './listen/beginnings.js'
import type { Dispatcher } from './listen/dispatcher.js'
import type { MakeForeignJson } from './values/foreign-json.js'
import type { FindFacts } from './values/relation-facts.js'

export interface RingWriterOptions {
  readonly ring: ChangeRing
  readonly tables: ToldTables
  readonly carried: CarriedTables
  readonly dispatcher: Dispatcher
  readonly beginnings: Beginnings
  readonly findFacts: FindFacts
  readonly foreignJson: MakeForeignJson
  readonly passEveryMs: number
  readonly clock: Clock
  readonly log: Logger
}

const tableChangeBytes = 128
/** After so much of it sockets, and answers of Postgres, have their turn. */
const workMs = 10

type RowEntry = RingChange & { readonly kind: 'row' }

/** Large values that an update did not touch are those of the old row, where the log has that. */
const completed = (change: RowChange): RowChange => {
  if (change.kind !== 'update' || change.old === null || !change.new.includes(undefined)) return change
  const { old } = change
  return { ...change, new: change.new.map((value, index) => (value === undefined ? old[index] : value)) }
}

const bytesOf = (change: RingChange): number => (change.kind === 'row' ? changesBytes([change.change]) : tableChangeBytes)

/** What the feed gives goes into the ring, and from there to the listeners. */
export class RingWriter {
  readonly follower: Follower = {
    name: 'realtime',
    tables: 'all',
    apply: (piece) => this.#apply(piece),
    reset: (reset) => this.#reset(reset),
    fresh: (proof) => this.#fresh(proof),
  }
  readonly #options: RingWriterOptions
  /** Relations of the feed that are none of ours. */
  readonly #others = new WeakSet<Relation>()
  #passedAt = 0
  #workedMs = 0

  constructor(options: RingWriterOptions) {
    this.#options = options
  }

  async #apply(piece: TransactionPiece): Promise<void> {
    const { tables, ring, clock, carried } = this.#options
    // What went by before it is known whose tables are told would be missing for good.
    await tables.known
    const changes = (await this.#prepare(piece)).filter((change) => change.kind === 'table' || !ring.has(change))
    // From here on nothing fails: a piece that failed is given again.
    const at = clock.monotonicMs()
    const entries = changes.map((change) => ring.append(change, bytesOf(change), at))
    for (const change of changes) if (change.kind === 'row') carried.saw(change.change.relation, change.position)
    if (piece.last) ring.pass(piece.position.number)
    ring.trim(at)
    if (entries.length > 0) await this.#dispatch(entries)
  }

  /** Many changes that come at once for many listeners would keep the process to themselves. */
  async #dispatch(entries: readonly RingEntry[]): Promise<void> {
    const { clock, dispatcher } = this.#options
    const startedAt = clock.monotonicMs()
    dispatcher.dispatch(entries)
    this.#workedMs += clock.monotonicMs() - startedAt
    if (this.#workedMs < workMs) return
    this.#workedMs = 0
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** What of the piece is told, with what is known of its tables. Waits for nothing where everything is known. */
  async #prepare({ position, xid, committedAt, firstOrdinal, changes }: TransactionPiece): Promise<RingChange[]> {
    const { tables, findFacts, foreignJson } = this.#options
    const prepared: RingChange[] = []
    for (const [index, change] of changes.entries()) {
      const { schema, table } = change.relation
      if (!tables.wants(schema, table) && !(await this.#isWanted(change.relation))) continue
      const place = { position, ordinal: firstOrdinal + index, xid }
      if (!isRowChange(change)) {
        prepared.push({ kind: 'table', ...place, table: { schema, table } })
        continue
      }
      const found = findFacts(change.relation)
      const facts = found instanceof Promise ? await found : found
      prepared.push({ kind: 'row', ...place, committedAt, change: completed(change), facts })
    }
    const foreign = prepared.filter((change): change is RowEntry => change.kind === 'row' && change.facts.foreign.length > 0)
    if (foreign.length === 0) return prepared
    const made = await foreignJson(foreign)
    return prepared.map((change) => {
      const index = change.kind === 'row' ? foreign.indexOf(change) : -1
      return index < 0 ? change : ({ ...change, made: made[index] } as RowEntry)
    })
  }

  /** A table that has not been seen before may have been put into the publication just now. */
  async #isWanted(relation: Relation): Promise<boolean> {
    const { tables } = this.#options
    if (this.#others.has(relation)) return false
    await tables.read()
    this.#others.add(relation)
    return tables.wants(relation.schema, relation.table)
  }

  async #reset(reset: FeedReset): Promise<void> {
    const { ring, beginnings, carried, log, dispatcher } = this.#options
    const { reason, epoch, position } = reset
    if (losesNothing(reset, ring.head)) return
    const isFirst = ring.head === undefined
    const anew = { epoch, number: position.number }
    // The feed may go back far behind what the listeners read now that they are told of the gap.
    const fresh = isFirst ? undefined : await beginnings.fresh(anew)
    ring.begin(anew)
    carried.clear()
    if (isFirst) return
    log.warn('listeners are told of a gap: the feed begins anew', { reason })
    dispatcher.restart(anew, `The feed of changes begins anew (${reason}).`, fresh)
  }

  #fresh({ position, asOf }: FreshnessProof): void {
    const { ring, clock, dispatcher, carried } = this.#options
    if (ring.head?.epoch === position.epoch) ring.pass(position.number)
    const now = clock.monotonicMs()
    ring.trim(now)
    dispatcher.proven(asOf)
    carried.proven(asOf, position)
    if (now - this.#passedAt < this.#options.passEveryMs) return
    this.#passedAt = now
    dispatcher.passAll()
  }

  /** Tables are told of from now on: whoever listens to all tables is told that their past is not. */
  added(tables: readonly TableId[]): void {
    const { ring, clock, carried, dispatcher } = this.#options
    const now = clock.monotonicMs()
    for (const { schema, table } of tables) {
      carried.added({ schema, table }, now)
      const name = `${schema}.${table}`
      const position = ring.head
      const message = `Changes of ${name} are told from now on.`
      if (position) dispatcher.announce({ schema, table }, { reason: 'tableChanged', table: name, position, message })
    }
  }
}
