import type { Fields } from './provider.js'

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** A member that is the object's own: `constructor` is a name like any other. */
const memberOf = (data: unknown, name: string): unknown => (isFields(data) && Object.hasOwn(data, name) ? data[name] : undefined)

/** The value at a path of names with dots between them. */
export const valueAt = (data: Fields, path: string): unknown =>
  path.split('.').reduce<unknown>((here, name) => memberOf(here, name), data)

/** The text or number there, as text; undefined for anything else, and for an empty one. */
export const textAt = (data: Fields, path: string): string | undefined => {
  const value = path.includes('.') ? valueAt(data, path) : memberOf(data, path)
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A moment as ISO 8601 with its zone, or in milliseconds since 1970. */
export const momentAt = (data: Fields, path: string): number | undefined => {
  const value = valueAt(data, path)
  const ms = typeof value === 'number' ? value : typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? ms : undefined
}

const inUtc = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/

/** The same, as ISO 8601 in UTC. */
export const isoAt = (data: Fields, path: string): string | undefined => {
  const value = valueAt(data, path)
  if (typeof value === 'string' && inUtc.test(value)) return value
  const ms = momentAt(data, path)
  return ms === undefined ? undefined : new Date(ms).toISOString()
}
