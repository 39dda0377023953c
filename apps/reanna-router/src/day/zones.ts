/** Moments in the zone in which a day was planned: an IANA name, or an offset such as `+09:30`. */
const offsetPattern = /^([+-])(\d\d):(\d\d)$/

const formats = new Map<string, Intl.DateTimeFormat>()

/** Raises RangeError for a zone that is none. */
const formatOf = (zone: string): Intl.DateTimeFormat => {
  const known = formats.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  formats.set(zone, made)
  return made
}

const minutesOf = (offset: string): number | undefined => {
  const [, sign, hours, minutes] = offsetPattern.exec(offset) ?? []
  return sign === undefined ? undefined : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

/** East of Greenwich is positive. */
export const offsetMinutes = (zone: string, at: Date): number => {
  const fixed = minutesOf(zone)
  if (fixed !== undefined) return fixed
  const name = formatOf(zone)
    .formatToParts(at)
    .find(({ type }) => type === 'timeZoneName')?.value
  return minutesOf((name ?? '').replace('GMT', '')) ?? 0
}

export const isZone = (zone: string): boolean => {
  const fixed = minutesOf(zone)
  if (fixed !== undefined) return Math.abs(fixed) <= 14 * 60 && Number(zone.slice(4)) < 60
  // Names alone, as IANA has them: what else Intl takes is written otherwise in Postgres, and an abbreviation is another zone there.
  if (!/^(?:[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)+|UTC|GMT)$/.test(zone) || /^SystemV\/|^US\/Pacific-New$/i.test(zone))
    return false
  try {
    return formatOf(zone) !== undefined
  } catch {
    return false
  }
}

/** The zone that is written at the end of an ISO time. */
export const zoneOf = (time: string): string => /([+-]\d\d:\d\d)$/.exec(time)?.[1] ?? 'UTC'

const two = (n: number): string => String(Math.floor(n)).padStart(2, '0')

const offsetText = (minutes: number): string =>
  `${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`

/** ISO 8601 as the clocks of that zone show it, with its offset: `2026-11-23T09:00:00+09:30`. UTC ends in `Z`. */
export const timeIn = (zone: string, at: Date): string => {
  const offset = offsetMinutes(zone, at)
  const text = new Date(at.getTime() + offset * 60_000).toISOString().replace(/\.000Z$/, 'Z')
  return zone === 'UTC' ? text : `${text.slice(0, -1)}${offsetText(offset)}`
}

/** The day that moment belongs to in that zone, `YYYY-MM-DD`. */
export const dayIn = (zone: string, at: Date): string => timeIn(zone, at).slice(0, 10)

/** When clocks in that zone show `HH:MM` on a day. Where they skip it, it is as late as it would have been before the change. */
export const timeOnDay = (zone: string, day: string, clock: string): Date => {
  const asUtc = Date.parse(`${day}T${clock}:00Z`)
  const first = asUtc - offsetMinutes(zone, new Date(asUtc)) * 60_000
  return new Date(asUtc - offsetMinutes(zone, new Date(first)) * 60_000)
}
