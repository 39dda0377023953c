/** What requests bring, held against schemas. */
import type { z } from 'zod'
import type { Refusals } from './define-errors.js'
import { isStorable } from './storable.js'

/** A place in a list that is ordered by time and id; of the first page none. */
export type Place = readonly [time: string, id: string] | readonly [time: null, id: null]

export interface Input {
  /** Raises `INVALID`, which names the fields and never quotes what they held; also for text that Postgres cannot hold. */
  parse<T>(schema: z.ZodType<T>, value: unknown): T
  /** What {@link placeOf} wrote. Raises `INVALID`. */
  parsePlace(cursor: string | undefined): Place
}

/** `next` of a page: the place of the row that it ends with. */
export const placeOf = (time: string, id: string): string => Buffer.from(`${time} ${id}`).toString('base64url')

/** What a statement selects as `place` for {@link pageOf}: a moment in UTC, to the microsecond. */
export const placeSql = (moment: string): string =>
  `to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as place`

export interface Page<T = Readonly<Record<string, unknown>>> {
  readonly rows: readonly T[]
  /** The cursor of the next page; null after the last. */
  readonly next: string | null
}

/** The first `limit` of rows of which one more was asked for, with their `id` and a `place`, which is left out. */
export const pageOf = <T extends { readonly id?: unknown; readonly place?: unknown }>(
  rows: readonly T[],
  limit: number,
): Page<Omit<T, 'place'>> => {
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return {
    rows: page.map(({ place: _place, ...row }) => row),
    next: last ? placeOf(String(last.place), String(last.id)) : null,
  }
}

const isPlace = (time: string, id: string): boolean =>
  /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time) &&
  !Number.isNaN(Date.parse(time)) &&
  /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(id)

const unstorableField = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null ? Object.entries(value).find(([, inner]) => !isStorable(inner))?.[0] : undefined

type Issue = z.core.$ZodIssue

const reasonOf = ({ code, message }: Issue): string =>
  code === 'unrecognized_keys' ? 'there are fields that are not known here' : message

const sentenceOf = (issue: Issue): string => {
  const field = issue.path.join('.')
  return field === '' ? `The request is not valid: ${reasonOf(issue)}.` : `${field}: ${reasonOf(issue)}.`
}

/** Of each field that is wrong, the first that is wrong with it; what is wrong with all of them together has the name ''. */
const fieldsOf = (issues: readonly Issue[]): Readonly<Record<string, string>> => {
  const fields: Record<string, string> = {}
  for (const issue of issues) fields[issue.path.join('.')] ??= reasonOf(issue)
  return fields
}

/** Reads for an application, in its errors. */
export const createInput = (errors: Refusals): Input => ({
  parse: (schema, value) => {
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      const { issues } = parsed.error
      const [first = ''] = issues.map(sentenceOf)
      throw errors.named('INVALID', first, { details: { fields: fieldsOf(issues) } })
    }
    if (!isStorable(parsed.data)) {
      const field = unstorableField(parsed.data)
      throw errors.named('INVALID', `${field ?? 'The request'} holds a character that cannot be kept.`)
    }
    return parsed.data
  },
  parsePlace: (cursor) => {
    if (cursor === undefined) return [null, null]
    const [time = '', id = ''] = Buffer.from(cursor, 'base64url').toString().split(' ')
    if (!isPlace(time, id)) throw errors.named('INVALID', 'cursor is what `next` of the page before was.')
    return [time, id]
  },
})
