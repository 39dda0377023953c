/** Wall clock times of a zone as instants, by the zone rules that Node carries. */

const formatters = new Map<string, Intl.DateTimeFormat>()

const formatterOf = (timeZone: string): Intl.DateTimeFormat => {
  let formatter = formatters.get(timeZone)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formatters.set(timeZone, formatter)
  }
  return formatter
}

/** True for a zone name that this Node knows. */
export const isTimeZone = (name: string): boolean => {
  try {
    formatterOf(name)
    return true
  } catch {
    return false
  }
}

/** Seconds east of UTC in the zone at an instant given in seconds since 1970. */
const offsetSecondsAt = (timeZone: string, instant: number): number => {
  const parts: Record<string, string> = {}
  for (const { type, value } of formatterOf(timeZone).formatToParts(instant * 1000)) parts[type] = value
  const year = parts['era'] === 'BC' ? 1 - Number(parts['year']) : Number(parts['year'])
  const wall = new Date(0)
  wall.setUTCFullYear(year, Number(parts['month']) - 1, Number(parts['day']))
  wall.setUTCHours(Number(parts['hour']), Number(parts['minute']), Number(parts['second']))
  return wall.getTime() / 1000 - Math.floor(instant)
}

export interface ZonedInstant {
  /** Seconds since 1970. */
  readonly seconds: number
  /** 'skipped': the clocks jumped over this time; 'repeated': it came twice. Neither has an exact way back. */
  readonly certainty: 'exact' | 'skipped' | 'repeated'
}

const isUtc = (timeZone: string): boolean => timeZone === 'UTC' || timeZone === 'Etc/UTC' || timeZone === 'GMT'

/** What the clocks of a zone show at an instant, both in seconds since 1970. */
export const wallSecondsOf = (timeZone: string, instant: number): number =>
  isUtc(timeZone) ? instant : instant + offsetSecondsAt(timeZone, instant)

/**
 * The instant of a wall clock time (given as seconds since 1970 as if it were UTC) in a zone. A repeated time is read as
 * Postgres reads it, in standard time (the later one); a skipped one with the offset before the jump.
 */
export const instantOf = (timeZone: string, wallSeconds: number): ZonedInstant => {
  if (isUtc(timeZone)) return { seconds: wallSeconds, certainty: 'exact' }
  const before = offsetSecondsAt(timeZone, wallSeconds - 86_400)
  const after = offsetSecondsAt(timeZone, wallSeconds + 86_400)
  if (before === after && offsetSecondsAt(timeZone, wallSeconds - before) === before) {
    return { seconds: wallSeconds - before, certainty: 'exact' }
  }
  const fits = [before, after].filter((offset) => offsetSecondsAt(timeZone, wallSeconds - offset) === offset)
  if (fits.length === 0) return { seconds: wallSeconds - before, certainty: 'skipped' }
  if (before !== after && fits.length === 2) return { seconds: wallSeconds - after, certainty: 'repeated' }
  return { seconds: wallSeconds - fits[0]!, certainty: 'exact' }
}
