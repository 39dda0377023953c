import { formatPosition, type Position, parsePosition } from '../../../feed/position.js'

/** Where a client is: everything up to a position, and of the transaction there the changes up to an ordinal. */
export interface NamedPosition {
  readonly position: Position
  readonly ordinal?: number | undefined
}

/** `epoch:hex`, and `/` with the ordinal of a single change. */
export const namePosition = ({ epoch, number }: Position, ordinal?: number): string =>
  `${formatPosition({ epoch, number })}${ordinal === undefined ? '' : `/${ordinal}`}`

/** Undefined for what {@link namePosition} does not write. */
export const readPosition = (text: string): NamedPosition | undefined => {
  const [, whole, ordinal] = /^([^/]{1,300})(?:\/(0|[1-9]\d{0,14}))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  try {
    return { position: parsePosition(whole), ...(ordinal !== undefined && { ordinal: Number(ordinal) }) }
  } catch {
    return undefined
  }
}
