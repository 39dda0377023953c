/** A column's type as people chose it, in place of the one the values suggest. */
import { TidemarkError } from '../../errors.js'
import type { ColumnChoice } from '../choices.js'
import { type Conversion, isInvertible } from '../move.js'
import type { TypeDecision } from './decide-type.js'
import type { ColumnFacts } from './scan.js'

const booleanForms = {
  truthy: ['1', 'true', 't', 'yes', 'y', 'on', 'True', 'TRUE', 'T', 'Yes', 'YES', 'Y', 'On', 'ON'],
  falsy: ['0', 'false', 'f', 'no', 'n', 'off', 'False', 'FALSE', 'F', 'No', 'NO', 'N', 'Off', 'OFF'],
}

/** The conversion into boolean: the forms given, else the one pair that explains every value, else every usual form. */
export const toBoolean = (
  facts: ColumnFacts,
  decided: TypeDecision | null,
  given: { truthy?: readonly string[] | undefined; falsy?: readonly string[] | undefined },
): Conversion => {
  if (given.truthy || given.falsy)
    return { kind: 'boolean', truthy: given.truthy ?? booleanForms.truthy, falsy: given.falsy ?? booleanForms.falsy }
  if (decided?.conversion.kind === 'boolean') return decided.conversion
  const words = facts.close?.words ?? []
  return words.every((word) => word === '0' || word === '1')
    ? { kind: 'boolean', truthy: ['1'], falsy: ['0'] }
    : { kind: 'boolean', ...booleanForms }
}

/** The conversion into timestamptz or timestamp: the one format of every value, else any ISO form. */
export const toMoment = (kind: 'timestamp' | 'timestamptz', facts: ColumnFacts, timeZone: string): Conversion => {
  const shape = facts.close?.moments.shape
  const format = shape?.kind === 'moment' ? shape.format : null
  if (kind === 'timestamp') return { kind, format: format?.zone === 'none' ? format : null }
  return { kind, format, timeZone }
}

/** The conversion into uuid that explains every value. */
export const toUuid = (facts: ColumnFacts, namespace: string): Conversion => {
  const uuids = facts.close?.uuids
  const texts = facts.texts
  if (uuids && facts.integers + facts.reals === 0 && uuids.dashless === texts && texts > 0)
    return { kind: 'uuid', form: 'dashless', namespace }
  if (uuids && facts.integers + facts.reals === 0 && uuids.dashed === texts && texts > 0)
    return { kind: 'uuid', form: 'dashed', namespace }
  return { kind: 'uuid', form: 'mapped', namespace }
}

/** Whether the file's values can be had back: what {@link isInvertible} says, but for uuids in upper case, which Postgres writes in lower. */
export const keepsForm = (conversion: Conversion, facts: ColumnFacts): boolean =>
  isInvertible(conversion) &&
  !(conversion.kind === 'uuid' && conversion.form !== 'mapped' && (facts.close?.uuids.upperCase ?? 0) > 0)

const oneClass = (facts: ColumnFacts, kind: 'texts' | 'blobs'): boolean =>
  facts[kind] === facts.integers + facts.reals + facts.texts + facts.blobs

export const toText = (facts: ColumnFacts): Conversion => ({ kind: oneClass(facts, 'texts') ? 'text' : 'anyText' })
export const toBytes = (facts: ColumnFacts): Conversion => ({ kind: oneClass(facts, 'blobs') ? 'bytes' : 'anyBytes' })

const typeNames: Readonly<Record<string, string>> = {
  time: 'time without time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
}

const conversionFor = (
  type: string,
  choice: ColumnChoice,
  decided: TypeDecision,
  facts: ColumnFacts,
  timeZone: string,
): Conversion => {
  switch (type) {
    case 'bigint':
    case 'integer':
    case 'smallint':
      return { kind: 'integer' }
    case 'numeric':
      return { kind: 'numeric' }
    case 'double precision':
      return { kind: 'real' }
    case 'text':
      return toText(facts)
    case 'bytea':
      return toBytes(facts)
    case 'boolean':
      return toBoolean(facts, decided, choice)
    case 'date':
      return { kind: 'date' }
    case 'time':
      return { kind: 'time', fraction: 'trim' }
    case 'timestamp':
    case 'timestamptz':
      return choice.epoch ? { kind: 'epoch', unit: choice.epoch } : toMoment(type, facts, choice.timeZone ?? timeZone)
    case 'uuid':
      return toUuid(facts, '6ba7b812-9dad-11d1-80b4-00c04fd430c8')
    case 'json':
      return { kind: 'json' }
    default:
      return { kind: 'jsonb' }
  }
}

/** The decision with the choice in place. Raises TM_MOVE_CHOICES_INVALID where the choice makes no sense. */
export const chooseColumn = (
  decided: TypeDecision,
  choice: ColumnChoice | undefined,
  facts: ColumnFacts,
  where: string,
  timeZone: string,
): TypeDecision => {
  if (!choice?.type) return decided
  if (choice.epoch && choice.type !== 'timestamptz') {
    throw new TidemarkError('TM_MOVE_CHOICES_INVALID', { path: where, reason: '"epoch" goes with "type": "timestamptz" only' })
  }
  return {
    targetType: typeNames[choice.type] ?? choice.type,
    conversion: conversionFor(choice.type, choice, decided, facts, timeZone),
    why: 'chosen',
    doubt: null,
  }
}
