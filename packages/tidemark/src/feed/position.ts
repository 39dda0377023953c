/** The order of everything: where in which history a change stands. */
import { TidemarkError } from '../errors.js'

/**
 * `epoch` names the history (source, system, timeline, database, incarnation of the slot); positions of two epochs cannot be ordered.
 * `number` is the commit LSN for the WAL, the number of the reader's batch for the outbox.
 */
export interface Position {
  readonly epoch: string
  readonly number: bigint
  /** Of a write that somebody waits for: its transaction. Whoever has applied it need not wait for the number. No part of the order. */
  readonly xid?: bigint
}

const epochForm = /^[a-z0-9][a-z0-9-]{0,199}$/

/** Whether both belong to one history, so that they can be ordered. */
export const isSameEpoch = (a: Position, b: Position): boolean => a.epoch === b.epoch

/** Below zero where `a` comes first. Raises TM_FEED_EPOCH where the two belong to different histories. */
export const comparePositions = (a: Position, b: Position): number => {
  if (!isSameEpoch(a, b)) throw new TidemarkError('TM_FEED_EPOCH', { expected: a.epoch, found: b.epoch })
  if (a.number === b.number) return 0
  return a.number < b.number ? -1 : 1
}

/** `epoch:hex`, and `:hex` of the transaction where it has one; for headers, logs and tables. */
export const formatPosition = ({ epoch, number, xid }: Position): string =>
  `${epoch}:${number.toString(16)}${xid === undefined ? '' : `:${xid.toString(16)}`}`

const hex = '(0|[1-9a-f][0-9a-f]{0,15})'
const form = new RegExp(`^([^:]+):${hex}(?::${hex})?$`)

/** Raises TM_FEED_POSITION for anything that {@link formatPosition} does not write. */
export const parsePosition = (text: string): Position => {
  const [, epoch = '', digits = '', xid] = form.exec(text) ?? []
  if (!epochForm.test(epoch) || digits === '') throw new TidemarkError('TM_FEED_POSITION', { text: text.slice(0, 100) })
  return { epoch, number: BigInt(`0x${digits}`), ...(xid !== undefined && { xid: BigInt(`0x${xid}`) }) }
}

/** An LSN as Postgres writes it, `16/B374D848`, as a number. Raises TM_FEED_POSITION. */
export const parseLsn = (text: string): bigint => {
  const [, high, low] = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text) ?? []
  if (high === undefined || low === undefined) throw new TidemarkError('TM_FEED_POSITION', { text: text.slice(0, 100) })
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** A number as an LSN. */
export const formatLsn = (lsn: bigint): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
