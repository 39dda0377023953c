import { TokenCursor, UnexpectedSql } from '../../../sqlite/token-cursor.js'
import { foldAscii, type Token } from '../../../sqlite/tokenize.js'
import type { BinaryOperator, ComparisonOperator, Expression, LiteralValue, NameExpression, Query } from './expression-tree.js'

/** Reads a SELECT at the cursor, which stands before its first word. */
export type QueryParser = (cursor: TokenCursor) => Query

const maxInteger = 2n ** 63n - 1n

/** Binary operators from loosest to tightest. The third level holds the ones with forms of their own. */
const levels: readonly (readonly BinaryOperator[])[] = [
  ['or'],
  ['and'],
  [],
  ['<', '<=', '>', '>='],
  ['&', '|', '<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
  ['||', '->', '->>'],
]
const notLevel = 2
const comparisonLevel = 3

/** Words that end an expression or begin another clause: no names. */
const reserved = new Set(
  `all and as between by case check collate commit constraint create cross default distinct drop else end escape except exists from full group
   having in inner insert intersect into is isnull join left limit natural not notnull null offset on or order outer primary references right
   select set table then to union unique update using values when where window`.split(/\s+/),
)

const parseNumber = (text: string, negative = false): bigint | number => {
  const digits = text.replaceAll('_', '')
  if (/^0x/i.test(digits)) return BigInt.asIntN(64, BigInt(digits))
  if (!/^\d+$/.test(digits)) return Number(digits)
  const integer = BigInt(digits)
  return integer <= maxInteger + (negative ? 1n : 0n) ? integer : Number(digits)
}

const blobBytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.slice(2, -1), 'hex'))

/** SQLite's expression grammar, by precedence climbing. */
export class ExpressionParser {
  readonly cursor: TokenCursor
  readonly #parseQuery: QueryParser

  constructor(cursor: TokenCursor, parseQuery: QueryParser = () => this.#noQuery()) {
    this.cursor = cursor
    this.#parseQuery = parseQuery
  }

  parse(level = 0): Expression {
    if (level === notLevel) return this.#negation()
    if (level === levels.length) return this.#collated()
    let left = this.parse(level + 1)
    for (;;) {
      const operator = levels[level]?.find((candidate) => this.#atOperator(candidate))
      if (!operator) return left
      this.cursor.next()
      left = { kind: 'binary', operator, left, right: this.parse(level + 1) }
    }
  }

  list(): Expression[] {
    const items = [this.parse()]
    while (this.cursor.take(',')) items.push(this.parse())
    return items
  }

  #noQuery(): never {
    throw new UnexpectedSql('a query stands inside')
  }

  #atOperator(operator: string): boolean {
    return this.cursor.at(operator)
  }

  #negation(): Expression {
    if (this.cursor.at('NOT') && !this.cursor.at('NOT', 'EXISTS')) {
      this.cursor.next()
      return { kind: 'unary', operator: 'not', operand: this.#negation() }
    }
    return this.#comparisons()
  }

  /** `=`, IS, IN, LIKE, BETWEEN … all bind alike and from the left. */
  #comparisons(): Expression {
    let left = this.parse(comparisonLevel)
    for (;;) {
      const next = this.#comparison(left)
      if (!next) return left
      left = next
    }
  }

  #comparison(left: Expression): Expression | null {
    const cursor = this.cursor
    for (const text of ['=', '==', '<>', '!=']) {
      if (!cursor.take(text)) continue
      const operator: ComparisonOperator = text.startsWith('=') ? '=' : '<>'
      return { kind: 'binary', operator, left, right: this.parse(comparisonLevel) }
    }
    if (cursor.take('ISNULL')) return this.#isNull(left, false)
    if (cursor.take('NOTNULL') || cursor.take('NOT', 'NULL')) return this.#isNull(left, true)
    if (cursor.take('IS')) return this.#is(left)
    const negated = cursor.at('NOT') && this.cursor.take('NOT')
    const found = this.#ranged(left)
    if (negated && !found) throw new UnexpectedSql('NOT stands before no operator')
    return found && negated ? { kind: 'unary', operator: 'not', operand: found } : found
  }

  #isNull(operand: Expression, negated: boolean): Expression {
    return { kind: 'binary', operator: negated ? 'is not' : 'is', left: operand, right: { kind: 'literal', value: null } }
  }

  #is(left: Expression): Expression {
    const negated = this.cursor.take('NOT')
    const distinct = this.cursor.take('DISTINCT', 'FROM')
    const operator: ComparisonOperator = negated === distinct ? 'is' : 'is not'
    return { kind: 'binary', operator, left, right: this.parse(comparisonLevel) }
  }

  #ranged(left: Expression): Expression | null {
    const cursor = this.cursor
    if (cursor.take('BETWEEN')) {
      const low = this.parse(comparisonLevel)
      cursor.expect('AND')
      return { kind: 'between', operand: left, low, high: this.parse(comparisonLevel) }
    }
    if (cursor.take('IN')) return this.#in(left)
    for (const operator of ['like', 'glob', 'regexp', 'match'] as const) {
      if (!cursor.take(operator)) continue
      const pattern = this.parse(comparisonLevel)
      const escaping = cursor.take('ESCAPE') ? this.parse(comparisonLevel) : null
      return { kind: 'match', operator, operand: left, pattern, escaping }
    }
    return null
  }

  #in(operand: Expression): Expression {
    const cursor = this.cursor
    cursor.expect('(')
    if (cursor.take(')')) return { kind: 'in', operand, list: [] }
    if (cursor.at('SELECT')) {
      const query = this.#parseQuery(cursor)
      cursor.expect(')')
      return { kind: 'inQuery', operand, query }
    }
    const list = this.list()
    cursor.expect(')')
    return { kind: 'in', operand, list }
  }

  #collated(): Expression {
    let operand = this.#unary()
    while (this.cursor.take('COLLATE')) operand = { kind: 'collate', operand, collation: this.cursor.name() }
    return operand
  }

  #unary(): Expression {
    const cursor = this.cursor
    for (const operator of ['-', '+', '~'] as const) {
      if (!cursor.take(operator)) continue
      const number = operator === '-' && cursor.peek()?.kind === 'number' ? parseNumber(cursor.peek()?.text ?? '', true) : null
      if (number === maxInteger + 1n) {
        cursor.next()
        return { kind: 'literal', value: -number }
      }
      return { kind: 'unary', operator, operand: this.#unary() }
    }
    return this.#primary()
  }

  #primary(): Expression {
    const cursor = this.cursor
    if (cursor.take('(')) return this.#group()
    if (cursor.take('CASE')) return this.#case()
    if (cursor.at('CAST', '(')) return this.#cast()
    if (cursor.take('NOT', 'EXISTS')) return { kind: 'unary', operator: 'not', operand: this.#exists() }
    if (cursor.take('EXISTS')) return this.#exists()
    return this.#term(cursor.next())
  }

  #group(): Expression {
    const cursor = this.cursor
    if (cursor.at('SELECT')) {
      const query = this.#parseQuery(cursor)
      cursor.expect(')')
      return { kind: 'query', query }
    }
    const inside = this.parse()
    if (cursor.at(',')) throw new UnexpectedSql('a row value stands inside')
    cursor.expect(')')
    return inside
  }

  #exists(): Expression {
    this.cursor.expect('(')
    const query = this.#parseQuery(this.cursor)
    this.cursor.expect(')')
    return { kind: 'exists', query }
  }

  #case(): Expression {
    const cursor = this.cursor
    const operand = cursor.at('WHEN') ? null : this.parse()
    const branches: { when: Expression; result: Expression }[] = []
    while (cursor.take('WHEN')) {
      const when = this.parse()
      cursor.expect('THEN')
      branches.push({ when, result: this.parse() })
    }
    const otherwise = cursor.take('ELSE') ? this.parse() : null
    cursor.expect('END')
    return { kind: 'case', operand, branches, otherwise }
  }

  #cast(): Expression {
    const cursor = this.cursor
    cursor.position += 2
    const operand = this.parse()
    cursor.expect('AS')
    const from = cursor.position
    cursor.skipUntil(')')
    const type = cursor.textOf(from, cursor.position)
    cursor.expect(')')
    return { kind: 'cast', operand, type }
  }

  #term(token: Token): Expression {
    const literal = (value: LiteralValue): Expression => ({ kind: 'literal', value })
    if (token.kind === 'number') return literal(parseNumber(token.text))
    if (token.kind === 'string') return literal(token.value)
    if (token.kind === 'blob') return literal(blobBytes(token.text))
    if (token.kind !== 'word' && token.kind !== 'quoted')
      throw new UnexpectedSql(`${JSON.stringify(token.text)} begins no expression`)
    if (token.kind === 'word') {
      const word = foldAscii(token.text)
      if (word === 'null') return literal(null)
      const now = /^current_(timestamp|date|time)$/.exec(word)?.[1]
      if (now) return { kind: 'now', part: now as 'timestamp' | 'date' | 'time' }
      if (reserved.has(word) && !this.cursor.at('(')) throw new UnexpectedSql(`${token.text} begins no expression`)
    }
    return this.cursor.at('(') ? this.#call(token.value) : this.#name(token)
  }

  #call(name: string): Expression {
    const cursor = this.cursor
    cursor.expect('(')
    const star = cursor.take('*')
    const distinct = cursor.take('DISTINCT')
    const args = star || cursor.at(')') ? [] : this.list()
    if (cursor.at('ORDER')) throw new UnexpectedSql('an aggregate with an order of its own stands inside')
    cursor.expect(')')
    if (cursor.at('FILTER', '(') || cursor.at('OVER')) throw new UnexpectedSql('a window or filtered aggregate stands inside')
    return { kind: 'call', name: foldAscii(name), args, star, distinct }
  }

  #name(token: Token): NameExpression {
    const style = (t: Token): NameExpression['quote'] =>
      t.kind === 'word' ? 'bare' : t.text.startsWith('"') ? 'double' : 'other'
    if (!this.cursor.take('.')) return { kind: 'name', table: null, name: token.value, quote: style(token) }
    const second = this.cursor.next()
    if (this.cursor.take('.')) return { kind: 'name', table: second.value, name: this.cursor.name(), quote: 'other' }
    return { kind: 'name', table: token.value, name: second.value, quote: 'other' }
  }
}

/** Parses a whole text as one expression. Throws UnexpectedSql where it is none. */
export const parseExpression = (sql: string): Expression => {
  const parser = new ExpressionParser(new TokenCursor(sql))
  const expression = parser.parse()
  if (!parser.cursor.done) throw new UnexpectedSql(`${JSON.stringify(parser.cursor.peek()?.text)} comes unexpectedly`)
  return expression
}
