import type { StreamEntry, WholeEvent } from '../../entry.js'

/** One event as a worker has it in memory. */
export interface HeldEvent {
  readonly id: string
  readonly provider: string
  readonly tenant: string
  readonly partition: number
  readonly lane: string
  readonly type: string
  /** The envelope's JSON text. */
  readonly payload: string
  readonly receivedAtMs: number
  /** Its place in the stream; undefined where it came as a row. */
  readonly streamId: string | undefined
  /** What the row is made from, where there may be none. */
  readonly whole: WholeEvent | undefined
  /** So often a worker ended while it ran this event, and perhaps because of it. What is not 0 runs alone, and counted. */
  readonly crashes: number
}

/** An event as its entry in the stream tells it. */
export const heldFromEntry = (entry: StreamEntry, partition: number, streamId: string, crashes: number): HeldEvent => ({
  id: entry.id,
  provider: entry.provider,
  tenant: entry.tenant,
  partition,
  lane: entry.lane,
  type: entry.type,
  payload: entry.payload,
  receivedAtMs: entry.receivedAtMs,
  streamId,
  whole: entry.whole,
  crashes,
})

/** The columns that {@link heldFromRow} reads. */
export const heldColumns = `id, provider, tenant, partition, lane, event_type, payload::text as payload,
  (extract(epoch from received_at) * 1000)::float8 as received_ms, claims`

export interface HeldRow {
  readonly id: string
  readonly provider: string
  readonly tenant: string
  readonly partition: number
  readonly lane: string
  readonly event_type: string
  readonly payload: string
  readonly received_ms: number
  readonly claims: number
}

/** `crashes`: at least so many. */
export const heldFromRow = (row: HeldRow, crashes = 0): HeldEvent => ({
  id: row.id,
  provider: row.provider,
  tenant: row.tenant,
  partition: row.partition,
  lane: row.lane,
  type: row.event_type,
  payload: row.payload,
  receivedAtMs: row.received_ms,
  streamId: undefined,
  whole: undefined,
  crashes: Math.max(row.claims, crashes),
})
