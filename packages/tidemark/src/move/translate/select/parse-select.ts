import { TokenCursor, UnexpectedSql } from '../../../sqlite/token-cursor.js'
import type { Expression, FromItem, OrderTerm, Query, ResultColumn, SelectCore } from '../expression/expression-tree.js'
import { ExpressionParser } from '../expression/parse-expression.js'

/** Words that cannot be an alias without AS. */
const clauseWords = [
  'FROM', 'WHERE', 'GROUP', 'HAVING', 'ORDER', 'LIMIT', 'UNION', 'INTERSECT', 'EXCEPT', 'ON', 'USING', 'JOIN', 'INNER', 'LEFT', 'RIGHT',
  'FULL', 'CROSS', 'NATURAL', 'WINDOW', 'INDEXED', 'NOT',
] // biome-ignore format: one list

/** The part of SELECT that view translation knows. Throws UnexpectedSql at everything else. */
class SelectParser {
  readonly #cursor: TokenCursor
  readonly #expressions: ExpressionParser

  constructor(cursor: TokenCursor) {
    this.#cursor = cursor
    this.#expressions = new ExpressionParser(cursor, (inner) => new SelectParser(inner).query())
  }

  query(): Query {
    const cores = [this.#core()]
    const compounds: Query['compounds'][number][] = []
    for (let word = this.#compound(); word; word = this.#compound()) {
      compounds.push(word)
      cores.push(this.#core())
    }
    const orderBy = this.#cursor.take('ORDER', 'BY') ? this.#orderBy() : []
    const limit = this.#cursor.take('LIMIT') ? this.#expressions.parse() : null
    const offset = limit && this.#cursor.take('OFFSET') ? this.#expressions.parse() : null
    if (limit && this.#cursor.at(',')) throw new UnexpectedSql('LIMIT has two numbers')
    return { cores, compounds, orderBy, limit, offset }
  }

  #compound(): Query['compounds'][number] | null {
    if (this.#cursor.take('UNION', 'ALL')) return 'union all'
    for (const word of ['union', 'intersect', 'except'] as const) if (this.#cursor.take(word)) return word
    return null
  }

  #core(): SelectCore {
    const cursor = this.#cursor
    cursor.expect('SELECT')
    const distinct = cursor.take('DISTINCT')
    if (!distinct) cursor.take('ALL')
    const columns = [this.#column()]
    while (cursor.take(',')) columns.push(this.#column())
    const from = cursor.take('FROM') ? this.#from() : []
    const where = cursor.take('WHERE') ? this.#expressions.parse() : null
    const groupBy = cursor.take('GROUP', 'BY') ? this.#expressions.list() : []
    const having = cursor.take('HAVING') ? this.#expressions.parse() : null
    return { distinct, columns, from, where, groupBy, having }
  }

  #column(): ResultColumn {
    const cursor = this.#cursor
    if (cursor.take('*')) return { kind: 'star', table: null }
    if (cursor.peek(1)?.text === '.' && cursor.peek(2)?.text === '*') {
      const table = cursor.name()
      cursor.position += 2
      return { kind: 'star', table }
    }
    return { kind: 'expression', expression: this.#expressions.parse(), alias: this.#alias() }
  }

  #alias(): string | null {
    if (this.#cursor.take('AS')) return this.#cursor.name()
    const token = this.#cursor.peek()
    const isName = token?.kind === 'word' || token?.kind === 'quoted' || token?.kind === 'string'
    return isName && !clauseWords.some((word) => this.#cursor.at(word)) ? this.#cursor.name() : null
  }

  #from(): FromItem[] {
    const items = [this.#table(null)]
    for (let join = this.#join(); join; join = this.#join()) items.push(this.#table(join))
    return items
  }

  /** A comma binds like a join in SQLite. */
  #join(): FromItem['join'] {
    const cursor = this.#cursor
    if (cursor.take(',') || cursor.take('JOIN') || cursor.take('INNER', 'JOIN')) return 'inner'
    if (cursor.take('LEFT', 'JOIN') || cursor.take('LEFT', 'OUTER', 'JOIN')) return 'left'
    return cursor.take('CROSS', 'JOIN') ? 'cross' : null
  }

  #table(join: FromItem['join']): FromItem {
    const cursor = this.#cursor
    if (cursor.at('(')) throw new UnexpectedSql('a query or a group of tables stands after FROM')
    const first = cursor.name()
    const table = cursor.take('.') ? cursor.name() : first
    if (cursor.at('(')) throw new UnexpectedSql(`${table}() stands after FROM`)
    const alias = this.#alias()
    const on = join && cursor.take('ON') ? this.#expressions.parse() : null
    return { table, alias, join, on }
  }

  #orderBy(): OrderTerm[] {
    const terms: OrderTerm[] = []
    do {
      const expression: Expression = this.#expressions.parse()
      const descending = this.#cursor.take('DESC')
      if (!descending) this.#cursor.take('ASC')
      const nulls = this.#cursor.take('NULLS', 'FIRST') ? 'first' : this.#cursor.take('NULLS', 'LAST') ? 'last' : null
      terms.push({ expression, descending, nulls })
    } while (this.#cursor.take(','))
    return terms
  }
}

/** Parses a whole SELECT. */
export const parseSelect = (sql: string): Query => {
  const cursor = new TokenCursor(sql)
  const query = new SelectParser(cursor).query()
  if (!cursor.done) throw new UnexpectedSql(`${JSON.stringify(cursor.peek()?.text)} comes unexpectedly`)
  return query
}
