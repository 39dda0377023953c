import type { Clock } from '../../time/clock.js'
import type { Beholder } from '../changes/visibility-port.js'
import type { TableAccess } from './table-access.js'

/** So many in a row, and a caller is asked for no more. What takes too long holds up others, and counts double. */
const limit = 3
const weights = { raised: 1, slow: 2 } as const
/** After so long it may be tried again: what a policy looks up may have changed. */
const forgiveAfterMs = 60_000

interface Record {
  readonly access: TableAccess
  count: number
  at: number
  reason: string
}

/** Who raised or dawdled, again and again, in which table. */
export interface Strikes {
  /** Why the caller is asked for no more in that table; undefined where it is. */
  failed(beholder: Beholder, access: TableAccess): string | undefined
  add(beholder: Beholder, access: TableAccess, kind: keyof typeof weights, reason: string): void
  /** Something could be answered. */
  clear(beholder: Beholder, access: TableAccess): void
}

export const createStrikes = (clock: Clock): Strikes => {
  const records = new WeakMap<Beholder, Map<string, Record>>()
  const keyOf = ({ schema, table }: TableAccess): string => JSON.stringify([schema, table])
  /** Other policies are another chance: they make another access. */
  const find = (beholder: Beholder, access: TableAccess): Record | undefined => {
    const found = records.get(beholder)?.get(keyOf(access))
    return found?.access === access && clock.monotonicMs() - found.at < forgiveAfterMs ? found : undefined
  }
  return {
    failed: (beholder, access) => {
      const found = find(beholder, access)
      return found && found.count >= limit ? found.reason : undefined
    },
    add: (beholder, access, kind, reason) => {
      const found = find(beholder, access)
      const own = records.get(beholder) ?? new Map<string, Record>()
      records.set(beholder, own)
      own.set(keyOf(access), { access, count: (found?.count ?? 0) + weights[kind], at: clock.monotonicMs(), reason })
    },
    clear: (beholder, access) => {
      records.get(beholder)?.delete(keyOf(access))
    },
  }
}
