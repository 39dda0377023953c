import type { SqliteForeignKey, SqliteTable } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import { qualifiedName, quoteIdentifier } from './identifiers.js'
import { attempt, refuse } from './refusal.js'
import type { TargetName, Translation } from './translation.js'

export interface ForeignKeyTarget {
  readonly table: TargetName
  /** Of the constraint, fitted. */
  readonly name: string
  readonly parent: TargetName
  /** Target names of the child's and the parent's columns, in the key's order. */
  readonly columns: readonly string[]
  readonly parentColumns: readonly string[]
  /** Target types in the same order; where Postgres cannot compare them the key is not carried. */
  readonly types?: { readonly columns: readonly string[]; readonly parentColumns: readonly string[] }
  /** The parent's facts; null where the file has no such table. */
  readonly parentTable: SqliteTable | null
  /** Leave rows that stand there unchecked until VALIDATE CONSTRAINT. Default: false. */
  readonly notValid?: boolean
}

const sameSet = (a: readonly (string | null)[], b: readonly string[]): boolean =>
  a.length === b.length && b.every((name) => a.some((other) => other !== null && foldAscii(other) === foldAscii(name)))

/** The parts of the key that make the parent's columns unique: its primary key, or a whole unique index. */
const uniqueParts = (parent: SqliteTable, columns: readonly string[]): { readonly collation: string }[] | null => {
  const index = parent.indexes.find(
    ({ unique, where, parts }) =>
      unique &&
      where === null &&
      sameSet(
        parts.map((part) => part.column),
        columns,
      ),
  )
  if (index) return [...index.parts]
  return parent.primaryKey && sameSet(parent.primaryKey.columns, columns) ? [] : null
}

const checkParent = ({ parentTable, parentColumns }: SqliteForeignKey, parent: SqliteTable | null): void => {
  if (!parent) refuse(`the parent table ${parentTable} does not exist`, 'Drop the key, or create the table.')
  else if (parentColumns.length === 0)
    refuse(`${parentTable} has no primary key of as many columns`, 'Name the columns of the parent.')
  else {
    const parts = uniqueParts(parent, parentColumns)
    if (!parts)
      refuse(`nothing makes (${parentColumns.join(', ')}) of ${parentTable} unique`, 'Add a unique constraint to the parent.')
    else if (parts.some(({ collation }) => collation !== 'BINARY'))
      refuse(
        `the parent's key is compared with the collation ${parts.find(({ collation }) => collation !== 'BINARY')?.collation}`,
        'Postgres compares keys letter by letter: bring both sides to one spelling, then add the key.',
      )
  }
}

/** Types that Postgres joins in a key. */
const familyOf = (type: string): string => {
  if (/^(?:smallint|integer|bigint)$/.test(type)) return 'integer'
  return /^(?:text|character varying|varchar)\b/.test(type) ? 'text' : type.replace(/\(.*\)/, '')
}

const checkTypes = ({ types }: ForeignKeyTarget): void => {
  const i = types ? types.columns.findIndex((type, at) => familyOf(type) !== familyOf(types.parentColumns[at] ?? '')) : -1
  if (i >= 0)
    refuse(
      `it would join ${types?.columns[i]} to ${types?.parentColumns[i]}`,
      'Give both columns one type in the file of choices.',
    )
}

/** A foreign key as `ALTER TABLE … ADD CONSTRAINT`. */
export const translateForeignKey = (key: SqliteForeignKey, target: ForeignKeyTarget): Translation =>
  attempt(() => {
    checkParent(key, target.parentTable)
    checkTypes(target)
    const list = (names: readonly string[]) => names.map(quoteIdentifier).join(', ')
    const action = (event: string, what: string) => (what === 'NO ACTION' ? '' : ` ON ${event} ${what}`)
    const sql = [
      `ALTER TABLE ${qualifiedName(target.table)} ADD CONSTRAINT ${quoteIdentifier(target.name)}`,
      ` FOREIGN KEY (${list(target.columns)}) REFERENCES ${qualifiedName(target.parent)} (${list(target.parentColumns)})`,
      action('UPDATE', key.onUpdate),
      action('DELETE', key.onDelete),
      key.initiallyDeferred ? ' DEFERRABLE INITIALLY DEFERRED' : '',
      target.notValid ? ' NOT VALID' : '',
    ]
    return { sql: sql.join(''), notes: [] }
  }, 'Add the key by hand once its rows fit.')
