/**
 * What each value of the file ought to read as in Postgres, as one canonical text. Written apart from the copy's encoders on purpose:
 * it cuts texts where they count and compares, where the loader computes, so that one mistake cannot hide in both.
 */
import { type ColumnPlan, type ColumnPolicies, type Conversion, standInForNull } from '../move.js'

export type CellValue = bigint | number | string | Buffer | null

/** How a value reads: the canonical text, or what Postgres is asked to make of it (see `resolutionSql`); `mapped` where a policy or a one-way conversion stands between. */
export interface Reading {
  /** Undefined where the value cannot be in Postgres at all: its row must have been rejected. */
  readonly text: string | null | undefined
  readonly mapped: boolean
}

/** Reads a cell with nothing lost, when its plain value leaves a doubt. */
export type Reread = () => { readonly storage: string; readonly value: CellValue; readonly raw: Buffer }

type Canon = (value: Exclude<CellValue, null>, reread: Reread) => Reading

const plain = (text: string): Reading => ({ text, mapped: false })
const mapped = (text: string | null): Reading => ({ text, mapped: true })
const impossible: Reading = { text: undefined, mapped: false }

/** A double or whole number in plain decimal digits, by moving the point of its exponent form. */
const decimalOf = (value: number | bigint): string => {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return value === 0 ? '0' : String(value)
  const text = String(value)
  if (!text.includes('e')) return text
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e')
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace(/[-.]/g, '')
  const point = Number(exponent) + 1
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return point >= digits.length ? sign + digits.padEnd(point, '0') : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

const doubleBytes = Buffer.alloc(8)
const doubleHex = (value: number): string => {
  doubleBytes.writeDoubleBE(value)
  return doubleBytes.toString('hex')
}

const isRoundedInteger = (value: CellValue): boolean =>
  typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)

/** The ends of the target's whole numbers; bigint has those of SQLite. */
const ends: Readonly<Record<string, readonly [bigint, bigint]>> = {
  smallint: [-32_768n, 32_767n],
  integer: [-2_147_483_648n, 2_147_483_647n],
}

const wholeIn =
  (targetType: string): Canon =>
  (value, reread) => {
    const exact = isRoundedInteger(value) ? reread().value : value
    if (typeof exact !== 'bigint' && !Number.isSafeInteger(exact)) return impossible
    const [lowest, highest] = ends[targetType] ?? []
    const isOutside = lowest !== undefined && highest !== undefined && ((exact as number) < lowest || (exact as number) > highest)
    return isOutside ? impossible : plain(String(exact))
  }

/** A number that keeps to the digits of `numeric(precision, scale)`, where the target sets them. */
const numberIn = (targetType: string): Canon => {
  const [, precision, scale = '0'] = /\((\d+)(?:,(-?\d+))?\)/.exec(targetType) ?? []
  return (value, reread) => {
    const exact = isRoundedInteger(value) ? reread().value : value
    if (typeof exact !== 'bigint' && typeof exact !== 'number') return impossible
    const text = decimalOf(exact)
    if (precision === undefined) return plain(text)
    const [, whole = '', fraction = ''] = /^-?0*(\d*)(?:\.(\d+))?$/.exec(text) ?? ['', 'x'.repeat(2000)]
    return whole.length + Number(scale) <= Number(precision) && fraction.length <= Number(scale) ? plain(text) : impossible
  }
}

const oneFloat = new Float32Array(1)
const keepsInFourBytes = (value: number): boolean => {
  oneFloat[0] = value
  return oneFloat[0] === value
}

const doubleIn =
  (targetType: string): Canon =>
  (value, reread) => {
    const exact = isRoundedInteger(value) ? reread().value : value
    if (typeof exact !== 'bigint' && typeof exact !== 'number') return impossible
    const number = Number(exact)
    if (typeof exact === 'bigint' && BigInt(number) !== exact) return impossible
    return targetType === 'real' && !keepsInFourBytes(number) ? impossible : plain(doubleHex(number))
  }

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const decodes = (raw: Buffer): boolean => {
  try {
    strictUtf8.decode(raw)
    return true
  } catch {
    return false
  }
}

/** Text by the policies for what Postgres cannot hold. */
const textBy =
  (policies: ColumnPolicies): Canon =>
  (value, reread) => {
    if (typeof value !== 'string') return impossible
    let text = value
    if (value.includes('\uFFFD')) {
      const { raw } = reread()
      if (!decodes(raw)) {
        if (policies.invalidUtf8 === 'reject') return impossible
        if (policies.invalidUtf8 === 'null') return mapped(null)
        if (policies.invalidUtf8 === 'latin1') text = raw.toString('latin1')
        if (!text.includes('\0')) return mapped(text)
      }
    }
    if (!text.includes('\0')) return plain(text)
    if (policies.nulBytes === 'reject') return impossible
    if (policies.nulBytes === 'null') return mapped(null)
    return mapped(text.split('\0').join(policies.nulBytes === 'strip' ? '' : '\u2400'))
  }

/** SQLite's own way to print a number: reals always with a point or an exponent. */
const printed = (value: number | bigint): string => {
  const text = String(value)
  return typeof value === 'number' && /^-?\d+$/.test(text) ? `${text}.0` : text
}

const anyText =
  (policies: ColumnPolicies): Canon =>
  (value, reread) => {
    if (typeof value === 'string') return textBy(policies)(value, reread)
    const { value: exact, raw } = reread()
    if (typeof exact === 'number' || typeof exact === 'bigint') return mapped(printed(exact))
    return decodes(raw) && !raw.includes(0) ? mapped(raw.toString('utf8')) : impossible
  }

const bytes: Canon = (value) => (Buffer.isBuffer(value) ? plain(value.toString('hex')) : impossible)

const anyBytes: Canon = (value, reread) => {
  if (Buffer.isBuffer(value)) return plain(value.toString('hex'))
  const { value: exact, raw } = reread()
  const isNumber = typeof exact === 'number' || typeof exact === 'bigint'
  return mapped(isNumber ? Buffer.from(printed(exact)).toString('hex') : raw.toString('hex'))
}

const booleanBy =
  (conversion: Extract<Conversion, { kind: 'boolean' }>): Canon =>
  (value) => {
    const form = String(value)
    const isTrue = conversion.truthy.includes(form)
    if (Buffer.isBuffer(value) || (!isTrue && !conversion.falsy.includes(form))) return impossible
    const isOneForm = isTrue ? conversion.truthy.length === 1 : conversion.falsy.length === 1
    return { text: isTrue ? 'true' : 'false', mapped: !isOneForm }
  }

/** A fraction as Postgres writes it: no zeros at its end, no point without digits. */
const shortFraction = (fraction = ''): string => {
  const digits = fraction.replace(/0+$/, '')
  return digits === '' ? '' : `.${digits}`
}

const momentPattern = /^(\d{4}-\d\d-\d\d)(?:([ T])(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/

const knownDates = new Map<string, boolean>()
const maxKnownDates = 20_000

/** A real date of the calendar, by asking the calendar of the platform; dates repeat, so answers are kept. */
const isRealDate = (date: string): boolean => {
  const known = knownDates.get(date)
  if (known !== undefined) return known
  const parsed = new Date(`${date}T00:00:00Z`)
  const isReal = !date.startsWith('0000') && !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date)
  if (knownDates.size >= maxKnownDates) knownDates.clear()
  knownDates.set(date, isReal)
  return isReal
}

const isRealClock = (clock: string, second: string): boolean => clock < '24:00' && clock.slice(3) < '60' && second < '60'

const habitKept = (fraction: string | undefined, habit: number | 'auto' | 'trim'): boolean => {
  const digits = fraction ?? ''
  if (habit === 'auto') return digits === '' || (digits.length === 6 && Number(digits) !== 0)
  return habit === 'trim' ? !digits.endsWith('0') : digits.length === habit
}

/** The wall clock of a naive or zoned text, as written; Postgres is asked for the same wall clock. */
const moment =
  (conversion: Extract<Conversion, { kind: 'timestamp' | 'timestamptz' }>): Canon =>
  (value) => {
    const match = typeof value === 'string' ? momentPattern.exec(value) : null
    if (!match || !isRealDate(match[1]!)) return impossible
    const [, date = '', separator = '', clock = '00:00', second = '00', fraction, zone = ''] = match
    if (!isRealClock(clock, second)) return impossible
    const { format } = conversion
    if (format === null) return conversion.kind === 'timestamp' && zone !== '' ? impossible : mapped(value as string)
    const keeps =
      separator === format.separator &&
      (match[4] !== undefined) === format.seconds &&
      habitKept(fraction, format.fraction) &&
      (zone || 'none') === format.zone
    return keeps ? plain(`${date} ${clock}:${second}${shortFraction(fraction)}`) : impossible
  }

const date: Canon = (value) =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value) && isRealDate(value) ? plain(value) : impossible

const time =
  ({ fraction: habit }: Extract<Conversion, { kind: 'time' }>): Canon =>
  (value) => {
    const match = typeof value === 'string' ? /^(\d\d:\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(value) : null
    if (!match || !isRealClock(match[1]!, match[2]!) || !habitKept(match[3], habit)) return impossible
    return plain(`${match[1]}:${match[2]}${shortFraction(match[3])}`)
  }

/** Seconds since 1970 from 4714-11-24 BC, where Postgres' calendar begins, to the year 294277, where it has ended. */
const calendar = { first: -210_866_803_200n, end: 9_224_318_016_000n }
const perSecond = { seconds: 1n, milliseconds: 1000n, microseconds: 1_000_000n } as const

const anyWhole = wholeIn('bigint')

const epochBy =
  ({ unit }: Extract<Conversion, { kind: 'epoch' }>): Canon =>
  (value, reread) => {
    const reading = anyWhole(value, reread)
    if (typeof reading.text !== 'string') return reading
    const count = BigInt(reading.text)
    if (count < calendar.first * perSecond[unit] || count >= calendar.end * perSecond[unit]) return impossible
    return plain(String((count * perSecond.microseconds) / perSecond[unit]))
  }

const uuidBy =
  ({ form }: Extract<Conversion, { kind: 'uuid' }>): Canon =>
  (value, reread) => {
    if (Buffer.isBuffer(value) || (typeof value !== 'string' && form !== 'mapped')) return impossible
    if (typeof value !== 'string') return plain(String(isRoundedInteger(value) ? reread().value : value))
    const id = value
    if (form === 'mapped') return /[\0\uFFFD]/.test(id) && (id.includes('\0') || !decodes(reread().raw)) ? impossible : plain(id)
    const fits = form === 'dashless' ? /^[\da-f]{32}$/i.test(id) : /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id)
    return fits ? { text: id.toLowerCase(), mapped: id !== id.toLowerCase() } : impossible
  }

/** What JSON.parse makes of a text, in an array; nothing where it is none. */
const parsed = (text: string): readonly unknown[] => {
  try {
    return [JSON.parse(text)]
  } catch {
    return []
  }
}

/** True where no string or key in it holds a NUL or half a surrogate pair, for which jsonb has no place. */
const isStorable = (value: unknown): boolean => {
  if (typeof value === 'string') return !/[\0\p{Surrogate}]/u.test(value)
  if (value === null || typeof value !== 'object') return true
  return Object.entries(value).every(([key, inner]) => isStorable(key) && isStorable(inner))
}

const jsonBy =
  (policies: ColumnPolicies, isBinary: boolean): Canon =>
  (value, reread) => {
    if (Buffer.isBuffer(value)) return impossible
    const written = typeof value === 'string' ? value : printed(reread().value as number | bigint)
    const values = parsed(written)
    if (values.length === 0 || (isBinary && !isStorable(values[0]))) return impossible
    const reading = typeof value === 'string' ? textBy(policies)(value, reread) : plain(written)
    return isBinary && reading.text !== undefined ? { text: reading.text, mapped: true } : reading
  }

const canonOf = ({ conversion, policies, targetType }: ColumnPlan): Canon => {
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      if (/^(?:double|real)/.test(targetType)) return doubleIn(targetType)
      return targetType.startsWith('numeric') ? numberIn(targetType) : wholeIn(targetType)
    case 'text':
      return textBy(policies)
    case 'anyText':
      return anyText(policies)
    case 'bytes':
      return bytes
    case 'anyBytes':
      return anyBytes
    case 'boolean':
      return booleanBy(conversion)
    case 'date':
      return date
    case 'time':
      return time(conversion)
    case 'timestamp':
    case 'timestamptz':
      return moment(conversion)
    case 'epoch':
      return epochBy(conversion)
    case 'uuid':
      return uuidBy(conversion)
    case 'json':
      return jsonBy(policies, false)
    case 'jsonb':
      return jsonBy(policies, true)
  }
}

/** What the target's modifier would round, cut or pad: looked for in the text, not computed. */
const goesBeyond = ({ conversion, targetType }: ColumnPlan): ((value: CellValue) => boolean) => {
  const limit = Number(/^(?:character|time)[^(]*\((\d+)\)/.exec(targetType)?.[1] ?? Number.NaN)
  if (Number.isNaN(limit)) return () => false
  if (targetType.startsWith('character')) {
    const isPadded = targetType.startsWith('character(')
    return (value) => typeof value === 'string' && (Array.from(value).length > limit || (isPadded && value.endsWith(' ')))
  }
  if (conversion.kind === 'epoch') {
    const digits = { seconds: 0, milliseconds: 3, microseconds: 6 }[conversion.unit]
    const tooFine = new RegExp(`[1-9]0{0,${Math.max(0, digits - limit - 1)}}$`)
    return (value) => digits > limit && Number(value) !== 0 && tooFine.test(String(value))
  }
  const tooFine = new RegExp(`\\.\\d{${limit}}\\d*[1-9]`)
  return (value) => typeof value === 'string' && tooFine.test(value)
}

/** Reads values of one column, NULL and bad values by their policies. */
export const createReader = (column: ColumnPlan): ((value: CellValue, reread: Reread) => Reading) => {
  const canon = canonOf(column)
  const isBeyond = goesBeyond(column)
  const { nullAs, badValue } = column.policies
  const standIn = standInForNull(column)
  const stand: Reading =
    column.notNull && nullAs !== null && !isBeyond(standIn)
      ? { ...canon(standIn, () => ({ storage: 'text', value: standIn, raw: Buffer.from(nullAs) })), mapped: true }
      : impossible
  return (value, reread) => {
    if (value === null) return column.notNull ? (nullAs === null ? impossible : stand) : { text: null, mapped: false }
    const reading = isBeyond(value) ? impossible : canon(value, reread)
    return reading.text === undefined && badValue === 'null' && !column.notNull ? mapped(null) : reading
  }
}
