/** Times as chats in Redis have them: milliseconds, seconds, or ISO text; as numbers, as text, or as JSON of either. */

const earliest = Date.UTC(2000, 0, 1)
const dayMs = 86_400_000
/** Numbers below are seconds: as milliseconds they would be before 1974, as seconds it is the year 5138. */
const smallestMs = 1e11

const isNumeric = (text: string): boolean => /^\d{1,16}(?:\.\d+)?$/.test(text)

/** Text without a zone is read as UTC, as its writers meant it. */
const isoForm = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?$/
const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/

const ofText = (text: string): number => {
  if (isNumeric(text)) return ofNumber(Number(text))
  if (!isoForm.test(text)) return Number.NaN
  const iso = text.replace(' ', 'T')
  return Date.parse(hasZone.test(iso) || !iso.includes('T') ? iso : `${iso}Z`)
}

const ofNumber = (value: number): number => (value < smallestMs ? value * 1000 : value)

/** Undefined for what is no time between the year 2000 and tomorrow. */
export const parseMoment = (value: unknown, nowMs: number): Date | undefined => {
  const plain = typeof value === 'string' ? value.trim().replace(/^"(.*)"$/, '$1') : value
  const ms = typeof plain === 'number' ? ofNumber(plain) : typeof plain === 'string' ? ofText(plain) : Number.NaN
  return ms >= earliest && ms <= nowMs + dayMs ? new Date(Math.trunc(ms)) : undefined
}
