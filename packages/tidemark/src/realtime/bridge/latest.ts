import { comparePositions, isSameEpoch, type Position } from '../../feed/position.js'
import type { BridgeEvent } from './bridge.js'

export interface LatestOptions<Row> {
  /** Goes up with every change of a row: a number, or a text that sorts (a time in ISO form). Without one, positions decide. */
  readonly version?: (row: Partial<Row>) => number | string | null | undefined
  /** Rows, the deleted among them; the one that was not touched for longest gives way. Default 10,000. */
  readonly maxRows?: number
}

/** Given by {@link Latest.beginRead}. */
export interface ReadToken {
  readonly at: number
}

/**
 * The newest that is known of each row, whichever way it came. An older event never takes the place of a newer one (C30), a deleted row does not come
 * back by what was said of it before, and there is no row without a key (C29).
 */
export interface Latest<Row> {
  get(key: string): Row | undefined
  readonly size: number
  /** False where something as new, or newer, is known already. */
  apply(event: BridgeEvent<Row>): boolean
  /** Before a row is read from the database, so that what is read can be put in its place. */
  beginRead(): ReadToken
  /** What was read since. False where something newer came meanwhile: read again. */
  fill(token: ReadToken, key: string, row: Row): boolean
  /** After a gap. What was being read is still taken. */
  clear(): void
}

interface Place {
  readonly position: Position
  readonly ordinal: number
}

interface Known<Row> {
  /** Undefined: deleted, or only known to have changed. */
  readonly row: Row | undefined
  readonly isDeleted: boolean
  readonly version: number | string | undefined
  /** Of the last event; undefined where it was only read. */
  readonly place: Place | undefined
  /** It was read since. */
  readonly isRead: boolean
  /** When it came, in our own count. */
  readonly at: number
}

/** Not above zero where the first was told before the second, or is the same. Undefined for two histories. */
const comparePlaces = (a: Place, b: Place): number | undefined =>
  isSameEpoch(a.position, b.position) ? comparePositions(a.position, b.position) || a.ordinal - b.ordinal : undefined

const isOlder = (a: number | string, b: number | string): boolean =>
  typeof a === 'number' && typeof b === 'number' ? a < b : String(a) < String(b)

/** Numbers as texts come from columns that are larger than JavaScript's. */
const asVersion = (value: number | string | null | undefined): number | string | undefined =>
  typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : (value ?? undefined)

/** Keeps the newest version of each row, whatever order they come in; at most `maxRows` (10,000). */
export const createLatest = <Row extends object>({ version, maxRows = 10_000 }: LatestOptions<Row> = {}): Latest<Row> => {
  const known = new Map<string, Known<Row>>()
  let clock = 0
  /** Of rows that gave way: whoever began to read before this knows too little. */
  let forgotten = 0

  const versionOf = (row: Partial<Row> | null): number | string | undefined =>
    row && version ? asVersion(version(row)) : undefined

  const put = (key: string, next: Omit<Known<Row>, 'at'>): void => {
    known.delete(key)
    clock += 1
    known.set(key, { ...next, at: clock })
    if (known.size <= maxRows) return
    for (const [oldest, { at }] of known) {
      known.delete(oldest)
      forgotten = Math.max(forgotten, at)
      return
    }
  }

  /** Events are ordered by their places; against what was read, whose place nobody knows, the versions decide. */
  const isStale = (before: Known<Row>, event: BridgeEvent<Row>, ours: number | string | undefined): boolean => {
    const order = before.place && comparePlaces(event, before.place)
    if (order !== undefined && order <= 0) return true
    if (order !== undefined && !before.isRead) return false
    return before.version !== undefined && ours !== undefined && isOlder(ours, before.version)
  }

  return {
    get: (key) => known.get(key)?.row,
    get size() {
      return [...known.values()].filter(({ row }) => row !== undefined).length
    },
    apply: (event) => {
      const { key, record, old, position, ordinal } = event
      if (key === null) return false
      const before = known.get(key)
      const isDeleted = event.event === 'DELETE'
      const ours = versionOf(record) ?? versionOf(old)
      if (before && isStale(before, event, ours)) return false
      // Columns that an update did not touch may be missing in it: those of before stand, where they are known.
      const row = isDeleted ? undefined : ({ ...before?.row, ...record } as Row)
      const place = { position, ordinal }
      put(key, { row, isDeleted, version: ours ?? (isDeleted ? before?.version : undefined), place, isRead: false })
      return true
    },
    beginRead: () => ({ at: clock }),
    fill: ({ at }, key, row) => {
      const before = known.get(key)
      const ours = versionOf(row)
      const hasVersions = before?.version !== undefined && ours !== undefined
      if (before && hasVersions && (isOlder(ours, before.version!) || (before.isDeleted && ours === before.version))) return false
      if (!hasVersions && ((before && before.at > at) || (!before && forgotten > at))) return false
      put(key, { row, isDeleted: false, version: ours, place: before?.place, isRead: true })
      return true
    },
    clear: () => {
      known.clear()
      clock += 1
    },
  }
}
