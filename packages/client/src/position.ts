/**
 * Where in which history something stands, as a server of Tidemark writes it: `epoch:hex`, and `:hex` of a transaction behind it, which is no
 * part of the order.
 */
export type Position = string

const split = (position: Position): readonly [epoch: string, number: string] => {
  const [epoch = '', number = ''] = position.split(/[:/]/)
  return [epoch, number.padStart(16, '0')]
}

/** Whether everything up to `wanted` is told with `reached`. Of two histories neither holds the other. */
export const reaches = (reached: Position, wanted: Position): boolean => {
  const [[epoch, number], [wantedEpoch, wantedNumber]] = [split(reached), split(wanted)]
  return epoch === wantedEpoch && number >= wantedNumber
}

/** The later of the two; the second where they belong to different histories. */
export const laterOf = (a: Position | undefined, b: Position | undefined): Position | undefined => {
  if (a === undefined || b === undefined) return a ?? b
  return reaches(a, b) ? a : b
}
