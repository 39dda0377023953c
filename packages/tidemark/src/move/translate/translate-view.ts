import type { SqliteView } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import { fitIdentifier, qualifiedName, quoteIdentifier } from './identifiers.js'
import { attempt, refuse } from './refusal.js'
import { parseSelect } from './select/parse-select.js'
import type { OutputColumn } from './select/select-output.js'
import type { Relation } from './select/select-scope.js'
import { type Relations, SelectTranslator } from './select/select-translator.js'
import type { Carried, ExpressionContext, NotCarried, TargetName } from './translation.js'

export interface ViewTarget {
  readonly view: TargetName
  /** What it may read: carried tables and views translated before it. */
  readonly relations: Relations
  readonly encoding?: ExpressionContext['encoding']
}

export interface CarriedView extends Carried {
  /** The view as a relation for the views that read it. */
  readonly relation: Relation
}

/** The names that SQLite would give, where it could not be asked: those that are written, if none comes twice. */
const writtenNames = (columns: readonly OutputColumn[]): string[] => {
  const names = columns.map(({ name, isNamed }) =>
    isNamed ? name : refuse('SQLite cannot read it here, and a column of it has no name'),
  )
  if (new Set(names.map(foldAscii)).size < names.length) refuse('SQLite cannot read it here, and two columns of it have one name')
  return names
}

/** The names of the columns, each fitted and none twice. */
const fittedNames = (names: readonly string[]): string[] => {
  const taken = new Set<string>()
  return names.map((name) => {
    const fitted = fitIdentifier(name, taken)
    taken.add(fitted)
    return fitted
  })
}

/**
 * A view as CREATE VIEW, where every part of its SELECT has a sure counterpart: joins, conditions, grouping, UNION, order and limit over carried
 * tables. It reads with the rights of who asks (security_invoker), so row level security holds.
 */
export const translateView = (view: SqliteView, target: ViewTarget): CarriedView | NotCarried =>
  attempt(() => {
    const notes = new Set<string>()
    const utf16 = target.encoding !== undefined && target.encoding !== 'UTF-8'
    const { sql, columns } = new SelectTranslator(target.relations, { notes, utf16 }).query(parseSelect(view.select))
    const names = view.columns ?? writtenNames(columns)
    if (columns.length !== names.length) refuse('its columns could not be told')
    const targets = fittedNames(names)
    const list = targets.map(quoteIdentifier).join(', ')
    return {
      sql: `CREATE VIEW ${qualifiedName(target.view)} (${list}) WITH (security_invoker = true) AS ${sql}`,
      notes: [...notes],
      relation: {
        target: target.view,
        columns: columns.map(({ column }, i) => ({ source: names[i] ?? '', column: { ...column, target: targets[i] ?? '' } })),
      },
    }
  }, `Write it anew for Postgres: ${view.select}`)
