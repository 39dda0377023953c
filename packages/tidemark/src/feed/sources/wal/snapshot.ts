import { TidemarkError } from '../../../errors.js'

/** What `pg_current_snapshot()` tells: who counts as committed for a statement that begins now. */
export interface Snapshot {
  /** Whoever is older has ended. */
  readonly xmin: bigint
  /** Whoever is this or younger has not. */
  readonly xmax: bigint
  /** Those between the two that have not ended. */
  readonly inProgress: ReadonlySet<bigint>
}

/** Takes `xmin:xmax:xid,xid` apart. Raises TM_FEED_PROTOCOL. */
export const parseSnapshot = (text: string): Snapshot => {
  const [, xmin, xmax, list] = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text) ?? []
  if (xmin === undefined || xmax === undefined || list === undefined) {
    throw new TidemarkError('TM_FEED_PROTOCOL', { reason: `"${text.slice(0, 100)}" is no snapshot` })
  }
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), inProgress: new Set(list === '' ? [] : list.split(',').map(BigInt)) }
}

/** Whether a committed transaction can be seen; `xid` is of the top level, as the log and snapshots have it. */
export const isVisible = (xid: bigint, { xmin, xmax, inProgress }: Snapshot): boolean =>
  xid < xmin || (xid < xmax && !inProgress.has(xid))

const cycle = 2n ** 32n
const half = cycle / 2n

/** The log has the low 32 bits of an id; it is the one nearest to the present, which the reader's own snapshot knows in full. */
export const widenXid = (xid: number, near: bigint): bigint => {
  const candidate = (near & ~(cycle - 1n)) | BigInt(xid)
  if (candidate - near > half && candidate >= cycle) return candidate - cycle
  return near - candidate > half ? candidate + cycle : candidate
}
