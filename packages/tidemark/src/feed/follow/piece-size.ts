import type { Change, Row } from '../feed.js'

/** What an object costs beside its values, roughly. */
const overhead = 64

const rowBytes = (row: Row | null): number => {
  if (row === null) return 0
  let bytes = 0
  for (const value of row) if (value) bytes += value.length
  return bytes
}

/** Roughly what changes take in memory. */
export const changesBytes = (changes: readonly Change[]): number => {
  let bytes = overhead
  for (const { old, new: row } of changes) bytes += overhead + rowBytes(old) + rowBytes(row)
  return bytes
}
