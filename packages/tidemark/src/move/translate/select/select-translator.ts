import { foldAscii } from '../../../sqlite/tokenize.js'
import { type CompareContext, collated } from '../expression/compare.js'
import { ExpressionTranslator, type QueryExtensions, type Scope } from '../expression/expression-translator.js'
import type { Expression, FromItem, OrderTerm, Query, ResultColumn, SelectCore } from '../expression/expression-tree.js'
import { children } from '../expression/expression-walk.js'
import { booleanToInteger, type Operand } from '../expression/operand.js'
import { inSourceForm } from '../expression/source-form.js'
import { fitIdentifier, qualifiedName, quoteIdentifier } from '../identifiers.js'
import { refuse } from '../refusal.js'
import { isAggregate, isOrderKept, translateAggregate } from './aggregates.js'
import { mustBeComparable, type OutputColumn, outputOf } from './select-output.js'
import { columnOf, type NamedRelation, type Relation, selectScope } from './select-scope.js'

/** By name in the file, ASCII letters lower-cased. */
export type Relations = ReadonlyMap<string, Relation>

export interface TranslatedQuery {
  readonly sql: string
  readonly columns: readonly OutputColumn[]
}

interface TranslatedCore extends TranslatedQuery {
  readonly translator: ExpressionTranslator
}

/** A result column that an expression goes on with: only where the target's value is SQLite's as it stands. */
const plainOutput = (native: Operand): Operand => {
  const source = inSourceForm(native)
  return source.sql === native.sql ? source : refuse('a query inside gives values in another form than the file')
}

const hasAggregate = (expression: Expression): boolean =>
  (expression.kind === 'call' && isAggregate(expression)) || children(expression).some(hasAggregate)

/** Translates the SELECTs of views; what is not surely the same in Postgres is refused. */
export class SelectTranslator {
  readonly #relations: Relations
  readonly #context: CompareContext
  readonly #outer: Scope | null

  constructor(relations: Relations, context: CompareContext, outer: Scope | null = null) {
    this.#relations = relations
    this.#context = context
    this.#outer = outer
  }

  query(query: Query): TranslatedQuery {
    if (query.compounds.includes('intersect') && new Set(query.compounds).size > 1)
      refuse('INTERSECT stands beside others; they bind otherwise in Postgres')
    const cores = query.cores.map((core) => this.#core(core))
    const [first] = cores as [TranslatedCore]
    this.#checkCompounds(query, cores)
    const sql =
      first.sql +
      cores
        .slice(1)
        .map((core, i) => ` ${query.compounds[i]?.toUpperCase()} ${core.sql}`)
        .join('')
    const limit = this.#limit(query)
    if (query.orderBy.length === 0) return { sql: sql + limit, columns: first.columns }
    const isPlain = cores.length === 1 && !query.cores[0]?.distinct
    const ordered = isPlain
      ? `${sql}${this.#orderBy(query.orderBy, first, query.cores[0] as SelectCore)}`
      : this.#orderOutside(sql, query.orderBy, first)
    return { sql: ordered + limit, columns: first.columns }
  }

  /** UNION and its like need columns of one type each; all but UNION ALL compare rows. */
  #checkCompounds(query: Query, cores: readonly TranslatedCore[]): void {
    const [first] = cores
    const compares = query.compounds.some((word) => word !== 'union all') || query.cores.some((core) => core.distinct)
    for (const core of cores) {
      if (core.columns.length !== first?.columns.length) refuse('its SELECTs have different numbers of columns')
      if (compares) core.columns.forEach(mustBeComparable)
      const odd = core.columns.find(({ column }, i) => {
        const other = first?.columns[i]?.column
        return column.targetType !== other?.targetType || JSON.stringify(column.conversion) !== JSON.stringify(other.conversion)
      })
      if (odd) refuse(`its SELECTs give ${odd.name} different types`)
    }
  }

  #core(core: SelectCore): TranslatedCore {
    const relations = this.#from(core.from)
    const aliases = new Set(
      core.columns.flatMap((column) => (column.kind === 'expression' && column.alias !== null ? [foldAscii(column.alias)] : [])),
    )
    const scope = selectScope(relations, aliases, this.#outer)
    const extensions: QueryExtensions = {
      aggregate: translateAggregate,
      query: (inner) => {
        const { sql, columns } = new SelectTranslator(this.#relations, this.#context, scope).query(inner)
        return { sql, columns: columns.map(({ operand }) => plainOutput(operand)) }
      },
    }
    const translator = new ExpressionTranslator(scope, this.#context, extensions)
    const columns = core.columns.flatMap((column) => this.#column(column, relations, translator))
    const groups = this.#groups(core, translator)
    if (core.distinct) columns.forEach(mustBeComparable)
    const parts = [
      `SELECT ${core.distinct ? 'DISTINCT ' : ''}${columns.map(({ sql, name }) => `${sql} AS ${quoteIdentifier(fitIdentifier(name))}`).join(', ')}`,
      this.#fromSql(core.from, relations, translator),
      core.where ? ` WHERE ${translator.truth(core.where).sql}` : '',
      groups.length > 0 ? ` GROUP BY ${groups.join(', ')}` : '',
      core.having ? ` HAVING ${translator.truth(core.having).sql}` : '',
    ]
    return { sql: parts.join(''), columns, translator }
  }

  #from(items: readonly FromItem[]): NamedRelation[] {
    const names = new Set<string>()
    return items.map(({ table, alias }) => {
      const relation = this.#relations.get(foldAscii(table)) ?? refuse(`it reads ${table}, which is not carried over`)
      const name = alias ?? table
      if (names.has(foldAscii(name))) refuse(`two tables of it are called ${name}`)
      names.add(foldAscii(name))
      return { name, alias: fitIdentifier(name), relation }
    })
  }

  #fromSql(items: readonly FromItem[], relations: readonly NamedRelation[], translator: ExpressionTranslator): string {
    if (items.length === 0) return ''
    const parts = items.map(({ join, on }, i) => {
      const { relation, alias } = relations[i] as NamedRelation
      const table = `${qualifiedName(relation.target)} AS ${quoteIdentifier(alias)}`
      if (join === null) return table
      if (!on) return join === 'left' ? refuse('a LEFT JOIN has no ON') : `CROSS JOIN ${table}`
      return `${join === 'left' ? 'LEFT' : 'INNER'} JOIN ${table} ON ${translator.truth(on).sql}`
    })
    return ` FROM ${parts.join(' ')}`
  }

  #column(column: ResultColumn, relations: readonly NamedRelation[], translator: ExpressionTranslator): OutputColumn[] {
    if (column.kind === 'star') {
      const { table } = column
      const wanted = relations.filter(({ name }) => table === null || foldAscii(name) === foldAscii(table))
      if (wanted.length === 0) refuse(`${table ?? ''}.* names no table`)
      return wanted.flatMap((named) =>
        named.relation.columns.map(({ source, column: each }) => outputOf(columnOf(named, each), source)),
      )
    }
    const { expression, alias } = column
    const name = alias ?? (expression.kind === 'name' ? expression.name : 'column')
    return [outputOf(translator.translate(expression), name, alias !== null || expression.kind === 'name')]
  }

  /** The grouping, and the check that nothing outside it is picked from some row of the group, as SQLite allows. */
  #groups(core: SelectCore, translator: ExpressionTranslator): string[] {
    const results = core.columns.map((column) => (column.kind === 'expression' ? column.expression : null))
    const isGrouped =
      core.groupBy.length > 0 || core.having !== null || results.some((each) => each !== null && hasAggregate(each))
    if (!isGrouped) return []
    const groups = core.groupBy.map((expression) => {
      const output = outputOf(translator.translate(this.#resolveTerm(expression, core)), 'a group')
      mustBeComparable(output)
      return output.operand.sql
    })
    for (const expression of [...results, core.having]) {
      if (expression) this.#mustBeGrouped(expression, groups, translator)
      else if (expression === null && results.includes(null)) refuse('* stands beside a grouping')
    }
    return groups
  }

  #mustBeGrouped(expression: Expression, groups: readonly string[], translator: ExpressionTranslator): void {
    if (expression.kind === 'literal' || (expression.kind === 'call' && isAggregate(expression))) return
    if (expression.kind === 'query' || expression.kind === 'exists' || expression.kind === 'inQuery')
      refuse('a query stands inside a grouping')
    if (groups.includes(translator.translate(expression).sql)) return
    if (expression.kind === 'name') refuse(`${expression.name} is neither grouped nor summed up; SQLite takes it from some row`)
    for (const child of children(expression)) this.#mustBeGrouped(child, groups, translator)
  }

  /** A number or the name of a result column stands for that column's expression. */
  #resolveTerm(expression: Expression, core: SelectCore): Expression {
    const resultOf = (column: ResultColumn | undefined): Expression =>
      column?.kind === 'expression' ? column.expression : refuse('a term names a result column by *')
    if (expression.kind === 'literal' && typeof expression.value === 'bigint')
      return resultOf(core.columns[Number(expression.value) - 1])
    if (expression.kind === 'collate') return { ...expression, operand: this.#resolveTerm(expression.operand, core) }
    if (expression.kind !== 'name' || expression.table !== null) return expression
    const alias = core.columns.find(
      (column) => column.kind === 'expression' && column.alias !== null && foldAscii(column.alias) === foldAscii(expression.name),
    )
    return alias ? resultOf(alias) : expression
  }

  #term(value: Operand, { descending, nulls }: OrderTerm): string {
    const key = isOrderKept(value) ? value : this.#ordered(inSourceForm(value))
    const direction = descending ? ' DESC' : ''
    return `${key.sql}${direction} NULLS ${(nulls ?? (descending ? 'last' : 'first')).toUpperCase()}`
  }

  #ordered(value: Operand): Operand {
    if (value.kind !== 'text') return booleanToInteger(value)
    return this.#context.utf16
      ? refuse('the file is UTF-16, which orders text otherwise')
      : collated(value, value.collation?.name ?? 'BINARY', true)
  }

  #orderBy(terms: readonly OrderTerm[], { translator }: TranslatedCore, core: SelectCore): string {
    const keys = terms.map((term) => {
      const expression = this.#resolveTerm(term.expression, core)
      if (core.groupBy.length > 0 && !hasAggregate(expression))
        this.#mustBeGrouped(expression, this.#groups(core, translator), translator)
      return this.#term(translator.translate(expression), term)
    })
    return ` ORDER BY ${keys.join(', ')}`
  }

  /** DISTINCT and UNION are ordered by result columns only, from outside. */
  #orderOutside(sql: string, terms: readonly OrderTerm[], { columns }: TranslatedCore): string {
    const keys = terms.map((term) => {
      const { expression } = term
      const i =
        expression.kind === 'literal' && typeof expression.value === 'bigint'
          ? Number(expression.value) - 1
          : columns.findIndex(({ name }) => expression.kind === 'name' && foldAscii(name) === foldAscii(expression.name))
      const output = columns[i] ?? refuse('it is ordered by what is no result column')
      return this.#term({ ...output.operand, sql: `"q".${quoteIdentifier(fitIdentifier(output.name))}`, atomic: true }, term)
    })
    return `SELECT * FROM (${sql}) AS "q" ORDER BY ${keys.join(', ')}`
  }

  #limit({ limit, offset }: Query): string {
    const count = (expression: Expression | null): bigint | null =>
      expression === null
        ? null
        : expression.kind === 'literal' && typeof expression.value === 'bigint'
          ? expression.value
          : refuse('LIMIT is computed')
    const [rows, skipped] = [count(limit), count(offset)]
    return `${rows === null ? '' : ` LIMIT ${rows}`}${skipped === null ? '' : ` OFFSET ${skipped}`}`
  }
}
