import type { MomentFormat } from '../../move.js'

const fractionPattern = ({ fraction }: MomentFormat): string => {
  if (fraction === 'auto') return '(?:\\.\\d{6})?'
  if (fraction === 'trim') return '(?:\\.\\d{0,5}[1-9])?'
  return fraction === 0 ? '' : `\\.\\d{${fraction}}`
}

/** The characters of a moment written in `format`, without regard to the calendar. */
const momentPattern = (format: MomentFormat): RegExp => {
  const seconds = format.seconds ? `:\\d\\d${fractionPattern(format)}` : ''
  const zone = format.zone === 'none' ? '' : format.zone.replace('+', '\\+')
  return new RegExp(`^\\d{4}-\\d\\d-\\d\\d${format.separator}\\d\\d:\\d\\d${seconds}${zone}$`)
}

/** True for a day that both calendars know: SQLite's and Postgres' years 1 to 9999. */
export const isDate = (text: string): boolean => {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  if (!parts || parts[1] === '0000') return false
  const date = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)
}

export const isTime = (text: string): boolean => /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?$/.test(text)

/** Date and time of any ISO form without a zone; null where it is none. */
export const splitMoment = (text: string): { readonly date: string; readonly time: string } | null => {
  const parts = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$/.exec(text)
  return parts?.[1] && parts[2] && isDate(parts[1]) && isTime(parts[2]) ? { date: parts[1], time: parts[2] } : null
}

/** The moment that `text` says in exactly this format, its zone left out; null where it is written otherwise. */
export const readMoment = (text: string, format: MomentFormat): { readonly date: string; readonly time: string } | null => {
  if (!momentPattern(format).test(text)) return null
  return splitMoment(format.zone === 'none' ? text : text.slice(0, -format.zone.length))
}

/** Whether the order of the texts is the order of the moments: a zone behind a fraction of varying length breaks it. */
export const keepsOrder = (format: MomentFormat): boolean => format.zone === 'none' || typeof format.fraction === 'number'

/** Template for to_char that writes a moment in this format; null where digits depend on the value. */
export const momentTemplate = (format: MomentFormat): string | null => {
  if (typeof format.fraction !== 'number' || format.fraction > 6) return null
  const separator = format.separator === 'T' ? '"T"' : ' '
  const seconds = format.seconds ? `:SS${format.fraction > 0 ? `.FF${format.fraction}` : ''}` : ''
  const zone = format.zone === 'none' ? '' : `"${format.zone}"`
  return `YYYY-MM-DD${separator}HH24:MI${seconds}${zone}`
}

/** The zone for AT TIME ZONE: UTC, or hours and minutes as an interval. */
export const zoneSql = (zone: string): string => {
  const parts = /^([+-])(\d\d):?(\d\d)?$/.exec(zone)
  return parts ? `INTERVAL '${parts[1]}${parts[2]}:${parts[3] ?? '00'}'` : "'UTC'"
}
