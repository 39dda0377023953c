import type { SqliteIndex, SqliteIndexPart } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import type { Conversion } from '../move.js'
import { collated } from './expression/compare.js'
import type { ExpressionTranslator } from './expression/expression-translator.js'
import { type Operand, operand, wrap } from './expression/operand.js'
import { parseExpression } from './expression/parse-expression.js'
import { inSourceForm } from './expression/source-form.js'
import { qualifiedName, quoteIdentifier } from './identifiers.js'
import { attempt, refuse } from './refusal.js'
import { mustBeImmutable, translatorFor } from './translate-expression.js'
import type { ExpressionColumn, ExpressionContext, TargetName, Translation } from './translation.js'

export interface IndexTarget {
  readonly table: TargetName
  /** Of the index, fitted; it lives in the table's schema. */
  readonly name: string
  /** Keeps hashes of texts and bytes in the place of the values, which may be too long for an index; for unique indexes. Default false. */
  readonly hashed?: boolean
}

interface Part {
  readonly sql: string
  /** Whether it is text or bytes of any length. */
  readonly long: 'text' | 'bytea' | null
  /** A bare column, which a constraint can name. */
  readonly plain: boolean
}

/** Conversions under which different values of the file may become equal. */
const mergesValues = (conversion: Conversion): boolean =>
  conversion.kind === 'anyText' ||
  conversion.kind === 'anyBytes' ||
  conversion.kind === 'jsonb' ||
  (conversion.kind === 'boolean' && (conversion.truthy.length > 1 || conversion.falsy.length > 1)) ||
  ((conversion.kind === 'timestamp' || conversion.kind === 'timestamptz') && conversion.format === null)

const checkUnique = (column: ExpressionColumn): void => {
  if (mergesValues(column.conversion))
    refuse(
      `it is unique, and values of "${column.target}" that differ in the file may become equal as ${column.targetType}`,
      `After the move: look for doubles, then create the unique index on "${column.target}".`,
    )
}

const columnPart = (column: ExpressionColumn, { collation }: SqliteIndexPart, unique: boolean, notes: Set<string>): Part => {
  const name = quoteIdentifier(column.target)
  if (column.conversion.kind === 'json')
    return refuse(
      `Postgres has no order for json ("${column.target}")`,
      'Index single values of it, or keep it as jsonb with a GIN index.',
    )
  if (unique) checkUnique(column)
  const isText = column.conversion.kind === 'text' || column.conversion.kind === 'anyText'
  const long = isText ? 'text' : column.targetType === 'bytea' ? 'bytea' : null
  if (!isText || collation === 'BINARY') return { sql: name, plain: true, long }
  const { sql } = collated(operand(name, 'text', 'text', { atomic: true }), collation, false)
  notes.add(`${collation}: the index is on ${sql}; queries find it when they say the same`)
  return { sql: `(${sql})`, plain: false, long }
}

/** The value of an expression as an index keeps it; an access path may differ where a unique one must not. */
const indexable = (native: Operand, unique: boolean, notes: Set<string>): Operand => {
  if (!native.json) return native.column ? native : inSourceForm(native)
  if (unique) return refuse('it is unique over a value inside JSON, whose class in SQLite depends on the document')
  notes.add(`the index is on ${native.sql}, the text of the value; queries find it when they say the same`)
  return native
}

const expressionPart = (part: SqliteIndexPart, translator: ExpressionTranslator, unique: boolean): Part => {
  const { notes } = translator.context
  const value = mustBeImmutable(indexable(translator.translate(parseExpression(part.expression ?? '')), unique, notes))
  if (value.literal !== undefined) return refuse('a part of it is a constant')
  if (value.column) return columnPart(value.column, part, unique, notes)
  const keyed = value.kind === 'text' && part.collation !== 'BINARY' ? collated(value, part.collation, false) : value
  const long = value.kind === 'text' ? 'text' : null
  return { sql: `(${wrap(keyed)})`, plain: false, long }
}

const readParts = (index: SqliteIndex, context: ExpressionContext, translator: ExpressionTranslator): Part[] =>
  index.parts.map((part) => {
    if (part.column === null) return expressionPart(part, translator, index.unique)
    const column = context.columns.get(foldAscii(part.column))
    return column
      ? columnPart(column, part, index.unique, translator.context.notes)
      : refuse(`the column ${part.column} is not carried`)
  })

/** No two values that anybody has found have one; NULLs stay NULLs, and as distinct as ever. */
const hashed = (part: Part): Part => {
  if (part.long === null) return part
  // convert_to() would say it, but is not immutable; with its backslashes doubled, a text reads as the bytes that it is.
  const bytes = part.long === 'text' ? `replace(${part.sql}, E'\\\\', E'\\\\\\\\')::bytea` : part.sql
  return { ...part, sql: `sha256(${bytes})`, plain: false }
}

const constraintWords: Readonly<Record<SqliteIndex['origin'], string | null>> = { c: null, u: 'UNIQUE', pk: 'PRIMARY KEY' }

/**
 * An index as CREATE INDEX, or, where it belongs to a UNIQUE or PRIMARY KEY constraint of plain columns, as that constraint. NULLs are distinct in
 * unique indexes of both systems; a primary key of Postgres takes none.
 */
export const translateIndex = (index: SqliteIndex, context: ExpressionContext, target: IndexTarget): Translation =>
  attempt(
    () => {
      const { translator, notes } = translatorFor(context)
      const read = readParts(index, context, translator)
      const parts = target.hashed ? read.map(hashed) : read
      const table = qualifiedName(target.table)
      const name = quoteIdentifier(target.name)
      const constraint = constraintWords[index.origin]
      if (constraint && parts.every((part) => part.plain)) {
        const sql = `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${constraint} (${parts.map((part) => part.sql).join(', ')})`
        return { sql, notes: [...notes] }
      }
      const list = parts.map((part, i) => part.sql + (index.parts[i]?.descending ? ' DESC' : '')).join(', ')
      const where = index.where === null ? '' : ` WHERE ${mustBeImmutable(translator.truth(parseExpression(index.where))).sql}`
      const sql = `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${name} ON ${table} (${list})${where}`
      return { sql, notes: [...notes] }
    },
    `Write it anew for Postgres${index.sql === null ? '' : `: ${index.sql}`}`,
  )
