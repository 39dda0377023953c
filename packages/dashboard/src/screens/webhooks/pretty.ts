import type { EventDetail } from 'tidemark/admin'

/** Digits that a number of JavaScript does not hold. */
const longNumber = /\d{16}/

/** JSON as people read it; anything else, and what would not stay the same, as it came. */
export const pretty = ({ raw, rawEncoding }: Pick<EventDetail, 'raw' | 'rawEncoding'>): string => {
  if (rawEncoding === 'base64' || longNumber.test(raw)) return raw
  try {
    return JSON.stringify(JSON.parse(raw), null, 2)
  } catch {
    return raw
  }
}
