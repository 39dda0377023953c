import type { Row, RowChange } from '../../../feed/feed.js'
import type { Position } from '../../../feed/position.js'
import type { ChangeEvent, Json, VisibleChange } from '../../realtime.js'
import type { RelationFacts, View } from '../values/relation-facts.js'

/** A change of one row, where it stands, and what is known of its table. */
export interface PlacedChange {
  readonly position: Position
  readonly ordinal: number
  readonly committedAt: Date
  readonly change: RowChange
  readonly facts: RelationFacts
  /** JSON of values that Postgres has made, by column. */
  readonly made?: MadeJson | undefined
}

export interface MadeJson {
  readonly now: readonly (string | undefined)[]
  readonly before: readonly (string | undefined)[]
}

type Told = Readonly<Record<string, Json>>

/** As one audience is told it. Objects are made only for whoever looks at them; frames are made of the texts. */
class ToldChange implements VisibleChange {
  readonly position: Position
  readonly ordinal: number
  readonly event: ChangeEvent
  readonly schema: string
  readonly table: string
  readonly committedAt: Date
  readonly columns: VisibleChange['columns']
  readonly columnsJson: string
  readonly recordJson: string | undefined
  readonly oldRecordJson: string | undefined
  readonly errors: readonly string[] | null

  constructor(
    { position, ordinal, committedAt, facts }: PlacedChange,
    event: ChangeEvent,
    view: View,
    texts: { readonly record?: string | undefined; readonly oldRecord?: string | undefined; readonly errors: readonly string[] },
  ) {
    this.position = position
    this.ordinal = ordinal
    this.event = event
    this.schema = facts.relation.schema
    this.table = facts.relation.table
    this.committedAt = committedAt
    this.columns = view.columns
    this.columnsJson = view.columnsJson
    this.recordJson = texts.record
    this.oldRecordJson = texts.oldRecord
    this.errors = texts.errors.length > 0 ? texts.errors : null
  }

  get record(): Told | undefined {
    return this.recordJson === undefined ? undefined : JSON.parse(this.recordJson)
  }

  get oldRecord(): Told | undefined {
    return this.oldRecordJson === undefined ? undefined : JSON.parse(this.oldRecordJson)
  }
}

const maxRecordBytes = 1024 * 1024
/** What is still told of a record that is too large. */
const smallBytes = 64
const tooLarge = 'Error 413: Payload Too Large'

const lengthOf = (row: Row | null): number => row?.reduce((sum: number, value) => sum + (value?.length ?? 0), 0) ?? 0
const bytesOf = (row: Row | null): number => row?.reduce((sum: number, value) => sum + Buffer.byteLength(value ?? ''), 0) ?? 0

/** Whether what changed is more than is told at once. A character has up to three bytes, a surrogate two. */
const isTooLarge = ({ old, new: row }: RowChange): boolean =>
  (lengthOf(old) + lengthOf(row)) * 3 > maxRecordBytes && bytesOf(old) + bytesOf(row) > maxRecordBytes

/** JSON of one change's values, each made once whoever is told. */
class ChangeTexts {
  readonly tooLarge: boolean
  readonly #facts: RelationFacts
  readonly #change: RowChange
  readonly #now: (string | undefined)[]
  readonly #before: (string | undefined)[]

  constructor({ facts, change, made }: PlacedChange) {
    this.#now = made ? [...made.now] : []
    this.#before = made ? [...made.before] : []
    this.#facts = facts
    this.#change = change
    this.tooLarge = isTooLarge(change)
  }

  now(indexes: readonly number[]): string {
    return this.#record(this.#change.new, this.#now, indexes)
  }

  /** Of an update whose log tells no old row the identity has not changed: it is that of the new one. */
  before(indexes: readonly number[]): string {
    const { old, new: row } = this.#change
    return old === null ? this.#record(row, this.#now, indexes) : this.#record(old, this.#before, indexes)
  }

  /** Names of columns that the update did not touch and the log does not hold. */
  missing(indexes: readonly number[]): string[] {
    const row = this.#change.new
    return indexes.flatMap((index) => (row?.[index] === undefined ? [this.#facts.columns[index]?.name ?? ''] : []))
  }

  #record(row: Row | null, made: (string | undefined)[], indexes: readonly number[]): string {
    let text = ''
    for (const index of indexes) {
      const value = row?.[index]
      if (value === undefined) continue
      const column = this.#facts.columns[index]
      if (!column) continue
      const json = made[index] ?? (value === null ? 'null' : column.toJson(value))
      made[index] = json
      if (this.tooLarge && Buffer.byteLength(json) > smallBytes) continue
      text += `${text === '' ? '' : ','}${column.prefix}${json}`
    }
    return `{${text}}`
  }
}

/** Makes what is told of one change, once for each audience. */
export class Telling {
  readonly placed: PlacedChange
  #texts: ChangeTexts | undefined
  readonly #made: { readonly view: View; readonly event: ChangeEvent; readonly told: VisibleChange | undefined }[] = []

  constructor(placed: PlacedChange) {
    this.placed = placed
  }

  /** Undefined where there is nothing that could be told. */
  tell(event: ChangeEvent, view: View): VisibleChange | undefined {
    for (const made of this.#made) if (made.view === view && made.event === event) return made.told
    const told = this.#make(event, view)
    this.#made.push({ view, event, told })
    return told
  }

  #make(event: ChangeEvent, view: View): VisibleChange | undefined {
    this.#texts ??= new ChangeTexts(this.placed)
    const texts = this.#texts
    const errors = texts.tooLarge ? [tooLarge] : []
    if (event === 'DELETE') {
      const oldRecord = texts.before(view.before)
      return oldRecord === '{}' ? undefined : new ToldChange(this.placed, event, view, { oldRecord, errors })
    }
    const record = texts.now(view.now)
    if (view.now.length === 0) return undefined
    const missing = texts.missing(view.now)
    if (missing.length > 0) errors.push(`Error 206: Partial Content, large and not changed: ${missing.join(', ')}`)
    if (event === 'INSERT') return new ToldChange(this.placed, event, view, { record, errors })
    const before = this.placed.change.old === null ? view.key : view.before
    return new ToldChange(this.placed, event, view, { record, oldRecord: texts.before(before), errors })
  }
}
