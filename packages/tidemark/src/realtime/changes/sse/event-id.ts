import { formatPosition, type Position, parsePosition } from '../../../feed/position.js'

/** Where a client of a stream is: everything up to the position; or of the transaction there, up to the ordinal. */
export interface EventPlace {
  readonly position: Position
  readonly ordinal: number | undefined
}

/** `epoch:number`, and `/ordinal` within a transaction. */
export const formatEventId = ({ position: { epoch, number }, ordinal }: EventPlace): string =>
  `${formatPosition({ epoch, number })}${ordinal === undefined ? '' : `/${ordinal}`}`

/** Undefined for anything that {@link formatEventId} does not write. */
export const parseEventId = (text: string): EventPlace | undefined => {
  const [, place, ordinal] = /^([^/]{1,300})(?:\/(\d{1,9}))?$/.exec(text) ?? []
  if (place === undefined) return undefined
  try {
    return { position: parsePosition(place), ordinal: ordinal === undefined ? undefined : Number(ordinal) }
  } catch {
    return undefined
  }
}
