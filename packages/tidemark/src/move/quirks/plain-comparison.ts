/**
 * Compares a moved table by plain SELECTs and without a line of the product: every value of Postgres is turned back into what the file must
 * have held. The copy and the verification both go forward; whoever goes backward cannot make the same mistake.
 */
import { createHash } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import type { ColumnPlan, Conversion, TablePlan } from '../move.js'

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

type Value = bigint | number | string | Buffer | null
/** A value as both sides can tell it: its kind and its content. Long ones by their hash. */
type Mark = string

const mark = (kind: string, content: string | Buffer): Mark =>
  content.length < 200
    ? `${kind}:${typeof content === 'string' ? content : content.toString('hex')}`
    : `${kind}#${createHash('sha1').update(content).digest('hex')}`

const textMark = (value: string): Mark => mark('text', value)

/** Numbers that SQLite and Postgres both call equal have one mark, whole or real. */
const numberMark = (value: bigint | number): Mark => mark('number', String(value))

/** The same of a number as Postgres writes it: up to 21 digits, as many as JavaScript spells out, are looked at as digits. */
const writtenNumberMark = (text: string): Mark => {
  const plain = text.replace(/\.0+$/, '')
  return mark('number', /^-?\d{1,21}$/.test(plain) ? plain : String(Number(plain)))
}

const doubleMark = (value: number): Mark => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return mark('real', bytes)
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

const jsonMark = (value: string): Mark => {
  try {
    return mark('json', JSON.stringify(sorted(JSON.parse(value))))
  } catch {
    return mark('broken', value)
  }
}

/** JSON to the byte; a lone number by what it is, since the file may hold it as one. */
const jsonTextMark = (text: string): Mark => (/^-?[\d.]+(?:e[-+]?\d+)?$/i.test(text) ? writtenNumberMark(text) : textMark(text))

const isNumber = (value: Value): value is bigint | number => typeof value === 'bigint' || typeof value === 'number'

/** What a value of the file is known by, under a conversion. */
const sourceMark = ({ conversion, targetType, invertible }: ColumnPlan, value: Exclude<Value, null>): Mark => {
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      if (!isNumber(value)) break
      if (/^(?:double|real)/.test(targetType) && (typeof value === 'number' || BigInt(Number(value)) === value))
        return doubleMark(Number(value))
      return numberMark(value)
    case 'anyText':
      if (Buffer.isBuffer(value)) return textMark(value.toString('utf8'))
      return isNumber(value) ? mark('printed', String(Number(value))) : textMark(value)
    case 'anyBytes':
      if (isNumber(value)) return mark('printed', String(Number(value)))
      return mark('blob', Buffer.from(value))
    case 'boolean':
      return textMark(
        conversion.truthy.includes(String(value)) ? 'true' : conversion.falsy.includes(String(value)) ? 'false' : '?',
      )
    case 'jsonb':
      return jsonMark(String(value))
    case 'uuid':
      return typeof value === 'string' && !invertible ? textMark(value.toLowerCase()) : textMark(String(value))
    case 'json':
      return jsonTextMark(String(value))
    default:
      break
  }
  if (Buffer.isBuffer(value)) return mark('blob', value)
  return isNumber(value) ? numberMark(value) : textMark(value)
}

const pad = (value: number, width = 2): string => String(value).padStart(width, '0')

interface Wall {
  readonly date: string
  readonly clock: string
  readonly micros: string
}

const wallOf = (text: string): Wall => {
  const [, date = '', clock = '', fraction = ''] = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(text) ?? []
  return { date, clock, micros: fraction.padEnd(6, '0') }
}

const fractionText = (micros: string, habit: number | 'auto' | 'trim'): string => {
  const digits =
    habit === 'auto'
      ? Number(micros) === 0
        ? ''
        : micros
      : habit === 'trim'
        ? micros.replace(/0+$/, '')
        : micros.slice(0, habit)
  return digits === '' ? '' : `.${digits}`
}

const zoneMinutes = (zone: string): number => {
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? []
  return hours === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

/** The wall clock so many minutes east, by the calendar of the platform. */
const shift = ({ date, clock, micros }: Wall, minutes: number): Wall => {
  const moved = new Date(Date.parse(`${date.padStart(4, '0')}T${clock}Z`) + minutes * 60_000)
  const day = `${pad(moved.getUTCFullYear(), 4)}-${pad(moved.getUTCMonth() + 1)}-${pad(moved.getUTCDate())}`
  return { date: day, clock: moved.toISOString().slice(11, 19), micros }
}

const written = (
  { date, clock, micros }: Wall,
  format: NonNullable<Extract<Conversion, { kind: 'timestamp' }>['format']>,
): string =>
  `${date}${format.separator}${format.seconds ? clock : clock.slice(0, 5)}${format.seconds ? fractionText(micros, format.fraction) : ''}${format.zone === 'none' ? '' : format.zone}`

const microsPer = { seconds: 1_000_000n, milliseconds: 1000n, microseconds: 1n } as const

/** What a value of Postgres, as it prints it, must have been in the file; null where only a probe can tell. */
const targetMark = (conversion: Conversion, targetType: string, text: string): Mark | null => {
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      if (/^(?:double|real)/.test(targetType)) return doubleMark(Number(text))
      return writtenNumberMark(text)
    case 'text':
      return textMark(text)
    case 'json':
      return jsonTextMark(text)
    case 'anyText':
    case 'anyBytes':
      return null
    case 'bytes':
      return mark('blob', Buffer.from(text.slice(2), 'hex'))
    case 'boolean':
      return textMark(text === 't' ? 'true' : 'false')
    case 'date':
      return textMark(text)
    case 'time':
      return textMark(text.slice(0, 8) + fractionText((text.split('.')[1] ?? '').padEnd(6, '0'), conversion.fraction))
    case 'timestamp':
      return conversion.format && textMark(written(wallOf(text), conversion.format))
    case 'timestamptz':
      if (!conversion.format || (conversion.format.zone === 'none' && conversion.timeZone !== 'UTC')) return null
      return textMark(written(shift(wallOf(text), zoneMinutes(conversion.format.zone)), conversion.format))
    case 'epoch': {
      const [days = '', hours = '', minutes = '', seconds = '', micros = ''] = text.split(/[ :.]/)
      const second = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds)
      return numberMark(((BigInt(days) * 86_400n + second) * 1_000_000n + BigInt(micros)) / microsPer[conversion.unit])
    }
    case 'uuid':
      if (conversion.form === 'mapped') return null
      return textMark(conversion.form === 'dashless' ? text.replaceAll('-', '') : text)
    case 'jsonb':
      return jsonMark(text)
  }
}

const isLoose = ({ kind }: Conversion): boolean => kind === 'anyText' || kind === 'anyBytes'

interface Compared {
  readonly column: ColumnPlan
  readonly index: number
}

/** Columns whose values can be turned back without the product's help; mixed ones count with the form that both readings share. */
const comparable = (columns: readonly ColumnPlan[]): readonly Compared[] =>
  columns.flatMap((column, index) => {
    const { conversion } = column
    const isOpaque =
      (conversion.kind === 'uuid' && conversion.form === 'mapped') ||
      ((conversion.kind === 'timestamp' || conversion.kind === 'timestamptz') && conversion.format === null) ||
      (conversion.kind === 'timestamptz' && conversion.format?.zone === 'none' && conversion.timeZone !== 'UTC')
    return isOpaque ? [] : [{ column, index }]
  })

/** Numbers in mixed columns, on both sides by what they look like; the file's text that looks like a number as well. */
const blurred = (value: Mark): Mark => {
  const [, kind, content = ''] = /^(\w+):(.*)$/s.exec(value) ?? []
  if (kind === undefined) return value
  const plain = kind === 'blob' ? Buffer.from(content, 'hex').toString('latin1') : content
  const number = Number(plain)
  if (kind === 'printed' || (plain.trim() === plain && plain !== '' && !Number.isNaN(number) && /^[-\d.I]/.test(plain)))
    return `≈${number}`
  return `${kind}:${content}`
}

const sourceRows = (database: Database, table: TablePlan, compared: readonly Compared[]): string[] => {
  const isUtf8 = database.pragma('encoding', { simple: true }) === 'UTF-8'
  // What becomes bytes is compared as bytes: damaged text has no string.
  const read = ({ column: { source, conversion } }: Compared): string => {
    const name = quoted(source)
    return conversion.kind === 'anyBytes' && isUtf8
      ? `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END`
      : name
  }
  const names = compared.map(read).join(', ') || 'NULL'
  const rows: string[] = []
  const select = database
    .prepare(`SELECT ${names} FROM ${quoted(table.source)}`)
    .safeIntegers(true)
    .raw(true)
  for (const row of select.iterate() as IterableIterator<Value[]>) {
    const marks = compared.map(({ column }, i) => {
      const value = row[i] ?? null
      if (value === null) return 'null'
      const found = sourceMark(column, value)
      return isLoose(column.conversion) ? blurred(found) : found
    })
    rows.push(marks.join('|'))
  }
  return rows
}

const targetRows = async (client: pg.Client, table: TablePlan, compared: readonly Compared[]): Promise<string[]> => {
  const read = ({ column: { target, targetType, conversion } }: Compared): string => {
    const name = quoted(target)
    // Postgres pads character(n) with blanks, and forgets them in every comparison.
    if (targetType.startsWith('character(')) return `rtrim(${name}, ' ')`
    // Four bytes are printed with the digits that tell them from their neighbours of four bytes.
    if (targetType === 'real') return `${name}::float8`
    if (conversion.kind !== 'epoch') return name
    return `((${name})::date - '1970-01-01')::text || ' ' || to_char(${name}, 'HH24:MI:SS.US')`
  }
  const names = compared.map(read).join(', ') || 'NULL'
  const { rows } = await client.query<(string | null)[]>({
    text: `SELECT ${names} FROM ${quoted(table.targetSchema)}.${quoted(table.target)}`,
    rowMode: 'array',
    types: { getTypeParser: () => (text: unknown) => text },
  })
  return rows.map((row) =>
    compared
      .map(({ column }, i) => {
        const text = row[i] ?? null
        if (text === null) return 'null'
        if (isLoose(column.conversion))
          return blurred(column.conversion.kind === 'anyText' ? textMark(text) : mark('blob', Buffer.from(text.slice(2), 'hex')))
        return targetMark(column.conversion, column.targetType, text) ?? ''
      })
      .join('|'),
  )
}

export interface PlainComparison {
  readonly sourceRows: number
  readonly targetRows: number
  /** Rows of the file that no row of Postgres turns back into. */
  readonly missing: readonly string[]
  /** Rows of Postgres that no row of the file explains. */
  readonly extra: readonly string[]
}

/** Compares one table, rows in any order. The client's session must be in UTC. */
export const comparePlainly = async (database: Database, client: pg.Client, table: TablePlan): Promise<PlainComparison> => {
  const compared = comparable(table.columns)
  const source = sourceRows(database, table, compared)
  const target = await targetRows(client, table, compared)
  const left = new Map<string, number>()
  for (const row of source) left.set(row, (left.get(row) ?? 0) + 1)
  const extra: string[] = []
  for (const row of target) {
    const count = left.get(row) ?? 0
    if (count === 0) extra.push(row)
    else left.set(row, count - 1)
  }
  const missing = [...left].flatMap(([row, count]) => Array.from({ length: count }, () => row))
  return { sourceRows: source.length, targetRows: target.length, missing, extra }
}
