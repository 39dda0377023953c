/** The ids of the stream's entries: `<number of the position>-<ordinal of the last change>`, so that their order is that of the feed. */
export interface EntryId {
  readonly number: bigint
  readonly ordinal: bigint
}

/** Before every entry; `prev` of the first one. */
export const zeroId: EntryId = { number: 0n, ordinal: 0n }

/** Past every entry of a transaction. */
export const endOf = (number: bigint): EntryId => ({ number, ordinal: 2n ** 64n - 1n })

export const formatId = ({ number, ordinal }: EntryId): string => `${number}-${ordinal}`

/** Undefined for anything that {@link formatId} does not write. */
export const parseId = (text: string): EntryId | undefined => {
  const [, number, ordinal] = /^(\d{1,20})-(\d{1,20})$/.exec(text) ?? []
  return number === undefined || ordinal === undefined ? undefined : { number: BigInt(number), ordinal: BigInt(ordinal) }
}

/** Below zero where `a` comes first. */
export const compareIds = (a: EntryId, b: EntryId): number => {
  if (a.number !== b.number) return a.number < b.number ? -1 : 1
  if (a.ordinal !== b.ordinal) return a.ordinal < b.ordinal ? -1 : 1
  return 0
}
