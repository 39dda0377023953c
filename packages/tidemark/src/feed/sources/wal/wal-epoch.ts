import { randomBytes } from 'node:crypto'
import type { ResetReason } from '../../feed.js'

/** What a history is known by: a change of any part begins another one. */
export interface History {
  readonly systemId: string
  readonly timeline: number
  readonly databaseOid: number
  /** Drawn when the slot is made: a slot made again has a hole in its history. */
  readonly incarnation: string
}

export const newIncarnation = (): string => randomBytes(6).toString('hex')

export const walEpoch = ({ systemId, timeline, databaseOid, incarnation }: History): string =>
  `wal-${systemId}-${timeline}-${databaseOid}-${incarnation}`

/** The parts of an epoch; undefined for one of another source. */
export const parseWalEpoch = (epoch: string): History | undefined => {
  const [, systemId, timeline, databaseOid, incarnation] = /^wal-(\d+)-(\d+)-(\d+)-([0-9a-f]+)$/.exec(epoch) ?? []
  if (systemId === undefined || incarnation === undefined) return undefined
  return { systemId, timeline: Number(timeline), databaseOid: Number(databaseOid), incarnation }
}

/** Why positions of `before` mean nothing under `now`. */
export const resetReason = (before: string | undefined, now: string): ResetReason => {
  if (before === undefined) return 'start'
  const [a, b] = [parseWalEpoch(before), parseWalEpoch(now)]
  if (a === undefined || b === undefined) return 'newHistory'
  const same = a.systemId === b.systemId && a.timeline === b.timeline && a.databaseOid === b.databaseOid
  return same ? 'slotLost' : 'newHistory'
}
