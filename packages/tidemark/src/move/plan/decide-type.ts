/** Which Postgres type a column gets, and why. Nothing is narrowed that the values do not prove. */
import type { SqliteColumn } from '../../sqlite/sqlite.js'
import type { Conversion } from '../move.js'
import { isDateLike } from './look-closely.js'
import type { ColumnFacts } from './scan.js'

export interface TypeDecision {
  readonly targetType: string
  readonly conversion: Conversion
  readonly why: string
  /** What the reader should know, where the values do not fit what was declared. */
  readonly doubt: { readonly code: string; readonly message: string; readonly suggestion: string } | null
}

const decision = (
  targetType: string,
  conversion: Conversion,
  why: string,
  doubt: TypeDecision['doubt'] = null,
): TypeDecision => ({
  targetType,
  conversion,
  why,
  doubt,
})

const total = ({ integers, reals, texts, blobs }: ColumnFacts): number => integers + reals + texts + blobs

const list = (facts: ColumnFacts): string =>
  (['integers', 'reals', 'texts', 'blobs'] as const)
    .filter((name) => facts[name] > 0)
    .map((name) => `${facts[name]} ${name}`)
    .join(', ')

/** Values of more than one storage class: a type that holds them all, and a word about it. */
const mixed = (facts: ColumnFacts, declared: string): TypeDecision => {
  const doubt = {
    code: 'mixedStorage',
    message: `declared ${declared || 'without a type'}, but holds ${list(facts)}`,
    suggestion: 'Clean the values in the file, or give the column a type with "badValue": "reject" or "null".',
  }
  if (facts.texts === 0 && facts.blobs === 0) {
    return decision('numeric', { kind: 'numeric' }, 'whole numbers and reals together: numeric holds both exactly', doubt)
  }
  if (facts.blobs === 0) return decision('text', { kind: 'anyText' }, `${list(facts)}: text holds them all`, doubt)
  return decision('bytea', { kind: 'anyBytes' }, `${list(facts)}: bytes hold them all`, doubt)
}

/** One storage class only, whatever was declared. */
const byClass = (facts: ColumnFacts, declared: string): TypeDecision => {
  const count = total(facts)
  if (facts.integers === count) return decision('bigint', { kind: 'integer' }, 'every value is a whole number')
  if (facts.reals === count) return decision('double precision', { kind: 'real' }, 'every value is a real (8 bytes)')
  if (facts.texts === count) return decision('text', { kind: 'text' }, 'every value is text')
  if (facts.blobs === count) return decision('bytea', { kind: 'bytes' }, 'every value is a blob')
  return mixed(facts, declared)
}

const vocabularies: readonly (readonly [string, string])[] = [
  ['1', '0'], ['true', 'false'], ['t', 'f'], ['yes', 'no'], ['y', 'n'], ['on', 'off'],
  ['True', 'False'], ['TRUE', 'FALSE'], ['T', 'F'], ['Yes', 'No'], ['YES', 'NO'], ['Y', 'N'], ['On', 'Off'], ['ON', 'OFF'],
] // biome-ignore format: one line reads better

const decideBoolean = (facts: ColumnFacts, declared: string): TypeDecision => {
  if (facts.isKept) return decision('boolean', { kind: 'boolean', truthy: ['1'], falsy: ['0'] }, 'every value is 0 or 1')
  const words = facts.close?.words ?? []
  const isOneClass = facts.integers === total(facts) || facts.texts === total(facts)
  const vocabulary = vocabularies.find((forms) => words.every((word) => forms.includes(word)))
  if (vocabulary && isOneClass && !(facts.texts > 0 && vocabulary[0] === '1')) {
    const [truthy, falsy] = vocabulary
    return decision('boolean', { kind: 'boolean', truthy: [truthy], falsy: [falsy] }, `every value is ${falsy} or ${truthy}`)
  }
  const base = byClass(facts, declared)
  return {
    ...base,
    doubt: {
      code: 'dirtyBoolean',
      message: `declared ${declared}, but holds ${words.slice(0, 8).join(', ')}${words.length > 8 ? ' …' : ''}`,
      suggestion: 'Give the column "type": "boolean" with the forms that mean true and false, and a policy for the rest.',
    },
  }
}

/** Whole numbers that can only be a time since 1970, not a count: 1973 to 2103 in the unit. */
const epochUnits = [
  ['seconds', 100_000_000n, 4_200_000_000n],
  ['milliseconds', 100_000_000_000n, 4_200_000_000_000n],
  ['microseconds', 100_000_000_000_000n, 4_200_000_000_000_000n],
] as const

const decideEpoch = (facts: ColumnFacts, declared: string): TypeDecision => {
  const { minInteger, maxInteger } = facts
  const unit = epochUnits.find(
    ([, from, to]) => minInteger !== null && maxInteger !== null && minInteger >= from && maxInteger <= to,
  )
  if (unit) {
    return decision(
      'timestamp with time zone',
      { kind: 'epoch', unit: unit[0] },
      `every value is a number of ${unit[0]} since 1970`,
    )
  }
  return decision('bigint', { kind: 'integer' }, 'whole numbers that are no plain time since 1970', {
    code: 'unclearEpoch',
    message: `declared ${declared}, but holds whole numbers from ${minInteger} to ${maxInteger}`,
    suggestion:
      'Give the column "type": "timestamptz" and "epoch" (seconds, milliseconds or microseconds) with a policy for the rest.',
  })
}

const timePrecision = (fraction: number | 'auto' | 'trim'): string => (fraction === 0 ? '(0)' : '')

const decideMoment = (facts: ColumnFacts, declared: string): TypeDecision => {
  const shape = facts.close?.moments.shape
  if (shape?.kind === 'date') return decision('date', { kind: 'date' }, 'every value is a date YYYY-MM-DD')
  if (shape?.kind === 'time') {
    return decision(
      `time${timePrecision(shape.fraction)} without time zone`,
      { kind: 'time', fraction: shape.fraction },
      'every value is a time of day',
    )
  }
  if (shape?.kind === 'moment') {
    const { format } = shape
    if (format.zone === 'none') {
      return decision(
        'timestamp without time zone',
        { kind: 'timestamp', format },
        'every value is a time without a zone, all in one format',
      )
    }
    return decision(
      'timestamp with time zone',
      { kind: 'timestamptz', format, timeZone: 'UTC' },
      `every value is a time with the zone ${format.zone}, all in one format`,
    )
  }
  const all = facts.close?.moments.allMoments ? 'times in several formats' : 'texts that are no times'
  return decision('text', { kind: 'text' }, `declared ${declared}, but ${all}: text keeps each as it is`, {
    code: 'dirtyTime',
    message: `declared ${declared}, but holds ${all}`,
    suggestion: 'Give the column "type": "timestamptz" (any ISO form is read) and "badValue": "null" or "reject" for the rest.',
  })
}

/** A column without a single value: what was declared is all there is to go by. */
const decideEmpty = (column: SqliteColumn): TypeDecision => {
  const { declaredType: declared } = column
  const format = { separator: ' ', seconds: true, fraction: 'auto', zone: 'none' } as const
  const why = 'no values yet; by its declared type'
  if (/BOOL/i.test(declared)) return decision('boolean', { kind: 'boolean', truthy: ['1'], falsy: ['0'] }, why)
  if (/JSON/i.test(declared)) return decision('json', { kind: 'json' }, why)
  if (/UUID|GUID/i.test(declared)) return decision('text', { kind: 'text' }, why)
  if (/^DATE$/i.test(declared)) return decision('date', { kind: 'date' }, why)
  if (isDateLike(column) && !/^TIME\b/i.test(declared))
    return decision('timestamp without time zone', { kind: 'timestamp', format }, why)
  if (column.affinity === 'INTEGER') return decision('bigint', { kind: 'integer' }, why)
  if (column.affinity === 'REAL') return decision('double precision', { kind: 'real' }, why)
  if (/DEC|NUMERIC|NUMBER|MONEY/i.test(declared)) return decision('numeric', { kind: 'numeric' }, why)
  if (/BLOB/i.test(declared)) return decision('bytea', { kind: 'bytes' }, why)
  if (column.affinity === 'TEXT') return decision('text', { kind: 'text' }, why)
  return decision('text', { kind: 'anyText' }, why)
}

const decimalPattern = /(?:DEC|NUMERIC)\w*\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)/i

const decideDecimal = (facts: ColumnFacts, declared: string): TypeDecision => {
  const [, precision, scale = '0'] = decimalPattern.exec(declared) ?? []
  const whole = Number(precision) - Number(scale)
  // Within these bounds the scan compared every value with its rounding.
  if (facts.isKept && precision !== undefined && Number(scale) <= 15 && whole >= 0 && whole <= 300) {
    return decision(`numeric(${precision},${scale})`, { kind: 'numeric' }, `every value fits into ${declared}`)
  }
  return decision(
    'numeric',
    { kind: 'numeric' },
    precision ? `values go beyond ${declared}, which SQLite does not enforce` : 'exact decimal numbers',
  )
}

const decideUuid = (facts: ColumnFacts): TypeDecision => {
  const uuids = facts.close?.uuids
  const count = total(facts)
  const isLower = uuids?.upperCase === 0
  if (isLower && uuids.dashed === count)
    return decision('uuid', { kind: 'uuid', form: 'dashed', namespace: '' }, 'every value is a uuid')
  if (isLower && uuids.dashless === count) {
    return decision('uuid', { kind: 'uuid', form: 'dashless', namespace: '' }, 'every value is a uuid without dashes')
  }
  return byClass(facts, 'UUID')
}

/** The type of one column. */
export const decideType = (column: SqliteColumn, facts: ColumnFacts): TypeDecision => {
  const { declaredType: declared, affinity } = column
  const count = total(facts)
  if (count === 0) return decideEmpty(column)
  if (/BOOL/i.test(declared)) return decideBoolean(facts, declared)
  if (/UUID|GUID/i.test(declared)) return decideUuid(facts)
  if (/JSON/i.test(declared) && facts.texts === count && facts.close?.jsons === count) {
    return decision('json', { kind: 'json' }, 'every value is valid JSON; json keeps it to the byte')
  }
  if (isDateLike(column) && facts.integers === count) return decideEpoch(facts, declared)
  if (isDateLike(column) && facts.texts === count) return decideMoment(facts, declared)
  if (/DEC|NUMERIC|MONEY/i.test(declared) && facts.integers + facts.reals === count) return decideDecimal(facts, declared)
  if (affinity === 'REAL' && facts.reals === count)
    return decision('double precision', { kind: 'real' }, 'SQLite keeps reals in 8 bytes')
  if (affinity === 'INTEGER' && facts.integers === count)
    return decision('bigint', { kind: 'integer' }, 'SQLite keeps whole numbers in up to 8 bytes')
  if (affinity === 'TEXT' && facts.texts === count) return decision('text', { kind: 'text' }, 'text; SQLite enforces no length')
  return byClass(facts, declared)
}
