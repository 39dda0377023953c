import type { RowRange } from '../query.js'
import { restErrors } from '../rest-errors.js'

/** A number as `limit` and `offset` take it; what is none counts as not given. */
export const rowNumber = (text: string | undefined): number | undefined => {
  const digits = text?.trim()
  if (digits === undefined || !/^-?\d+$/.test(digits)) return undefined
  return Math.max(Math.min(Number(digits), Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER) || 0
}

/** The header `Range: 0-9` or `0-`. Any other form counts as not given. */
export const parseRange = (header: string | undefined): RowRange | undefined => {
  const [, first, last] = /^(\d+)-(\d*)$/.exec(header?.trim() ?? '') ?? []
  const from = rowNumber(first)
  if (from === undefined) return undefined
  const to = rowNumber(last)
  if (to !== undefined && to < from) throw restErrors.rangeReversed()
  return { from, to }
}

/** Rows to skip, and rows to give. */
export interface Window {
  readonly offset: number | undefined
  readonly limit: number | undefined
}

/**
 * What `limit` and `offset` ask for and the Range header leaves of it. No rows at all may be asked for (`limit=0`), but not so
 * that one of them contradicts another.
 */
export const windowOf = (limit: number | undefined, offset = 0, range: RowRange | undefined = undefined): Window => {
  const last = limit === undefined ? Number.POSITIVE_INFINITY : offset + limit - 1
  if (last === -1) return { offset: undefined, limit: 0 }
  const from = Math.max(offset, range?.from ?? 0, 0)
  const to = Math.min(last, range?.to ?? last)
  if (to < from) throw restErrors.negativeLimit()
  return { offset: from > 0 ? from : undefined, limit: to === Number.POSITIVE_INFINITY ? undefined : to - from + 1 }
}
