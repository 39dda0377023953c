import { useEffect, useState } from 'react'
import type { BoardTable, MoveBoard } from 'tidemark/admin'

/** One look at a move. */
export interface Sample {
  readonly at: number
  readonly copied: number
  readonly checked: number
  readonly applied: number
  /** Changes before the cutover, bytes after it; null where nobody knows. */
  readonly behind: number | null
  /** Rows of each table that are through what it is at: the copy, then the comparison. */
  readonly tables: Readonly<Record<string, number>>
}

export const throughOf = ({ done, copied, rejected, checked }: BoardTable): number =>
  done ? checked : Number(copied) + Number(rejected)

const keptMs = 5 * 60_000
const windowMs = 10_000

export const sampleOf = ({ at, tables, move }: MoveBoard): Sample => ({
  at,
  copied: tables.reduce((sum, { copied, rejected }) => sum + Number(copied) + Number(rejected), 0),
  checked: tables.reduce((sum, { checked }) => sum + checked, 0),
  applied: Number(move?.log?.applied ?? 0),
  behind: move?.writer === 'postgres' ? (move.mirror?.behindBytes ?? null) : (move?.log?.behind ?? null),
  tables: Object.fromEntries(tables.map((table) => [table.table, throughOf(table)])),
})

/** Per second over the last ten seconds; null before two looks were taken. What starts again from the beginning counts from there. */
export const rateOf = (samples: readonly Sample[], of: (sample: Sample) => number): number | null => {
  const last = samples.at(-1)
  const first = last && samples.find(({ at }) => at >= last.at - windowMs)
  if (!last || !first || last.at === first.at) return null
  return Math.max(0, ((of(last) - of(first)) * 1000) / (last.at - first.at))
}

/** The looks of the last minutes, for rates and the chart. */
export const useSamples = (board: MoveBoard | undefined): readonly Sample[] => {
  const [samples, setSamples] = useState<readonly Sample[]>([])
  useEffect(() => {
    if (!board) return
    const sample = sampleOf(board)
    setSamples((before) => [...before.filter(({ at }) => at > sample.at - keptMs && at < sample.at), sample])
  }, [board])
  return samples
}

/** Milliseconds until `done` is `all` at that rate; null where that cannot be told. */
export const timeLeft = (all: number, done: number, perSecond: number | null): number | null =>
  done >= all ? 0 : perSecond === null || perSecond <= 0 ? null : ((all - done) / perSecond) * 1000
