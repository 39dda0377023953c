import { affinityOf } from '../../../sqlite/affinity.js'
import { foldAscii } from '../../../sqlite/tokenize.js'
import { refuse } from '../refusal.js'
import { applySign, calculate, combineBits, concatenate } from './arithmetic.js'
import { castTo } from './casts.js'
import { type CompareContext, compare } from './compare.js'
import type { BinaryOperator, CallExpression, Expression, NameExpression, Query } from './expression-tree.js'
import { hasCollation, hasInnerCollation } from './expression-walk.js'
import { callFunction } from './functions.js'
import { jsonValue, parseJsonPath, parseJsonStep } from './json-values.js'
import { allImmutable, asBoolean, boolean, literal, type Operand, operand, wrap } from './operand.js'
import { glob, like } from './patterns.js'
import { inSourceForm } from './source-form.js'
import { unify } from './unify.js'

/** Where names lead. */
export interface Scope {
  /** The column of that name, its letter case left aside; null where there is none. */
  resolve(table: string | null, name: string): Operand | null
}

/** What only a SELECT allows. */
export interface QueryExtensions {
  /** An aggregate's result; null where the call is none. */
  aggregate(call: CallExpression, translator: ExpressionTranslator): Operand | null
  /** A query inside an expression, with the operands of its columns. */
  query(query: Query): { readonly sql: string; readonly columns: readonly Operand[] }
}

type Of<K extends Expression['kind']> = Extract<Expression, { kind: K }>

/** Functions that compare their arguments. */
const comparing = new Set(['nullif', 'min', 'max'])

const numberPattern = /^-?\d+$/

/** True where a boolean column's truth in Postgres is SQLite's truth of its values, however they are spelled. */
const isTruthKept = (o: Operand): boolean => {
  const conversion = o.column?.conversion
  if (conversion?.kind !== 'boolean') return false
  const isNumber = (form: string) => numberPattern.test(form)
  return (
    [...conversion.truthy, ...conversion.falsy].every(isNumber) &&
    conversion.truthy.every((form) => Number(form) !== 0) &&
    conversion.falsy.every((form) => Number(form) === 0)
  )
}

/** Translates expression trees over one scope. What has no sure counterpart is refused. */
export class ExpressionTranslator {
  readonly context: CompareContext
  readonly #scope: Scope
  readonly #extensions: QueryExtensions | null

  constructor(scope: Scope, context: CompareContext, extensions: QueryExtensions | null = null) {
    this.context = context
    this.#scope = scope
    this.#extensions = extensions
  }

  /** The expression in Postgres' terms: bare columns stay as they are in the target. */
  translate(expression: Expression): Operand {
    const translate = this.#translators[expression.kind] as (expression: Expression) => Operand
    return translate(expression)
  }

  /** The expression as one side of a comparison. */
  side(expression: Expression): Operand {
    const native = this.translate(expression)
    return hasInnerCollation(expression) ? { ...inSourceForm(native), innerCollation: true } : native
  }

  /** The expression as SQLite sees its value, for every use but a comparison. */
  value(expression: Expression): Operand {
    const value = inSourceForm(this.translate(expression))
    return value.collation?.explicit ? refuse('a collated value is calculated with') : value
  }

  /** The expression as a condition. */
  truth(expression: Expression): Operand {
    const native = this.translate(expression)
    return isTruthKept(native) ? boolean(native.sql, native.immutable, native.atomic) : asBoolean(inSourceForm(native))
  }

  readonly #translators: { readonly [K in Expression['kind']]: (expression: Of<K>) => Operand } = {
    literal: ({ value }) => literal(value),
    name: (name) => this.#name(name),
    now: ({ part }) => refuse(`CURRENT_${part.toUpperCase()} changes with time`),
    unary: (expression) => this.#unary(expression),
    binary: (expression) => this.#binary(expression),
    match: (expression) => this.#match(expression),
    between: ({ operand: subject, low, high }) => {
      const value = this.side(subject)
      const atLeast = compare('>=', value, this.side(low), this.context)
      const atMost = compare('<=', value, this.side(high), this.context)
      return this.#join('AND', [atLeast, atMost])
    },
    in: (expression) => this.#in(expression),
    inQuery: ({ operand: subject, query }) => this.#inQuery(subject, query),
    case: (expression) => this.#case(expression),
    cast: ({ operand: subject, type }) => {
      const value = inSourceForm(this.translate(subject))
      return castTo(affinityOf(type), value, this.context.notes)
    },
    collate: ({ operand: subject, collation }) => ({
      ...inSourceForm(this.translate(subject)),
      collation: { name: collation.toUpperCase(), explicit: true },
    }),
    call: (expression) => this.#call(expression),
    query: ({ query }) => this.#scalarQuery(query),
    exists: ({ query }) => boolean(`EXISTS (${this.#query(query).sql})`, false, true),
  }

  #name({ table, name, quote }: NameExpression): Operand {
    const column = this.#scope.resolve(table, name)
    if (column) return column
    if (table === null && quote === 'double') {
      this.context.notes.add(`"${name}" names no column and is text, as SQLite takes it`)
      return literal(name)
    }
    const word = foldAscii(name)
    if (table === null && quote === 'bare' && (word === 'true' || word === 'false'))
      return literal(word === 'true' ? 1n : 0n, { truth: word === 'true' })
    return refuse(`there is no column ${table === null ? '' : `${table}.`}${name}`)
  }

  #unary({ operator, operand: subject }: Of<'unary'>): Operand {
    if (operator === 'not') {
      const condition = this.truth(subject)
      return boolean(`NOT ${wrap(condition)}`, condition.immutable)
    }
    if (operator === '+') return { ...inSourceForm(this.translate(subject)), affinity: null }
    return applySign(operator, this.value(subject), this.context.notes)
  }

  #binary({ operator, left, right }: Of<'binary'>): Operand {
    switch (operator) {
      case 'and':
      case 'or':
        return this.#join(operator.toUpperCase(), [this.truth(left), this.truth(right)])
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
        return calculate(operator, this.value(left), this.value(right), this.context.notes)
      case '&':
      case '|':
      case '<<':
      case '>>':
        return combineBits(operator, this.value(left), this.value(right))
      case '||':
        return concatenate(this.value(left), this.value(right))
      case '->':
        return refuse('-> gives JSON text, which Postgres may space otherwise')
      case '->>':
        return jsonValue(this.translate(left), parseJsonStep(this.translate(right)))
      default:
        return this.#comparison(operator, left, right)
    }
  }

  #comparison(operator: Exclude<BinaryOperator, 'and' | 'or' | '||'>, left: Expression, right: Expression): Operand {
    const constant = right.kind === 'name' ? this.translate(right).truth : undefined
    if (constant !== undefined && (operator === 'is' || operator === 'is not')) {
      const condition = this.truth(left)
      const not = operator === 'is not' ? 'NOT ' : ''
      return boolean(`${wrap(condition)} IS ${not}${constant ? 'TRUE' : 'FALSE'}`, condition.immutable)
    }
    return compare(operator as Parameters<typeof compare>[0], this.side(left), this.side(right), this.context)
  }

  #match({ operator, operand: subject, pattern, escaping }: Of<'match'>): Operand {
    if (operator === 'like') {
      this.context.notes.add('LIKE takes a to z for A to Z, as SQLite does unless PRAGMA case_sensitive_like is set')
      return like(this.value(subject), this.value(pattern), escaping && this.value(escaping))
    }
    if (operator === 'glob') return glob(this.value(subject), this.value(pattern))
    return refuse(`${operator.toUpperCase()} is a function of the application`)
  }

  #in({ operand: subject, list }: Of<'in'>): Operand {
    const value = this.side(subject)
    if (list.length === 0) return boolean('FALSE', true, true)
    // The members lose affinity and collation: only those of the left side count.
    const members = list.map((member) => ({ ...this.translate(member), affinity: null, collation: null }))
    const tests = members.map((member) => compare('=', value, member, this.context))
    const pairs = tests.map((test) => test.equality)
    const [first] = pairs
    if (tests.length === 1 || !first || pairs.some((each) => each?.left !== first.left)) return this.#join('OR', tests)
    return boolean(`${first.left} IN (${pairs.map((each) => each?.right).join(', ')})`, allImmutable(...tests))
  }

  #join(word: string, conditions: readonly Operand[]): Operand {
    const [only] = conditions
    if (conditions.length === 1 && only) return only
    return boolean(conditions.map(wrap).join(` ${word} `), allImmutable(...conditions))
  }

  #case({ operand: subject, branches, otherwise }: Of<'case'>): Operand {
    const tests = branches.map(({ when }) =>
      subject ? compare('=', this.side(subject), this.side(when), this.context) : this.truth(when),
    )
    const values = [...branches.map(({ result }) => result), ...(otherwise ? [otherwise] : [])].map((result) =>
      this.value(result),
    )
    const { operands, shape } = unify(values, 'CASE', this.context.notes)
    const cases = tests.map((test, i) => `WHEN ${test.sql} THEN ${operands[i]?.sql}`).join(' ')
    const last = otherwise ? ` ELSE ${operands.at(-1)?.sql}` : ''
    return operand(`CASE ${cases}${last} END`, shape.kind, shape.pg, { immutable: allImmutable(...tests, ...operands) })
  }

  #call(expression: CallExpression): Operand {
    const { name, args, star, distinct } = expression
    const aggregate = this.#extensions?.aggregate(expression, this)
    if (aggregate) return aggregate
    if (comparing.has(name) && args.some(hasCollation)) return refuse(`a COLLATE inside decides what ${name}() compares`)
    if (star || distinct) return refuse(`${name}() is no scalar function here`)
    if (name === 'json_extract' && args.length === 2) return this.#jsonExtract(args[0] as Expression, args[1] as Expression)
    if (name === 'json_valid' && args.length === 1) return this.#jsonValid(this.translate(args[0] as Expression))
    return callFunction(
      name,
      args.map((arg) => inSourceForm(this.translate(arg))),
      this.context,
    )
  }

  #jsonExtract(document: Expression, path: Expression): Operand {
    const { literal: text } = this.translate(path)
    return typeof text === 'string' ? jsonValue(this.translate(document), parseJsonPath(text)) : refuse('a JSON path is computed')
  }

  #jsonValid(document: Operand): Operand {
    const kind = document.column?.conversion.kind
    if (kind !== 'json' && kind !== 'jsonb')
      return refuse(
        'json_valid() is asked of text; Postgres 15 has no such test',
        'Give the column the type json or jsonb, which only takes valid JSON.',
      )
    this.context.notes.add(`the type of ${document.sql} only takes valid JSON`)
    return boolean(`CASE WHEN ${wrap(document)} IS NOT NULL THEN TRUE END`, document.immutable)
  }

  #query(query: Query): { readonly sql: string; readonly columns: readonly Operand[] } {
    return this.#extensions ? this.#extensions.query(query) : refuse('a query stands inside')
  }

  #scalarQuery(query: Query): Operand {
    const { sql, columns } = this.#query(query)
    const [column] = columns
    if (!column || columns.length !== 1) return refuse('a query of several columns stands where one value is asked')
    // SQLite takes the first row of several, Postgres raises an error.
    const isSingle = query.cores.length === 1 && (query.limit !== null || isWholeAggregate(query))
    if (!isSingle) return refuse('a query stands where one value is asked and may give several rows')
    return {
      ...operand(`(${sql})`, column.kind, column.pg, { atomic: true, immutable: false }),
      affinity: column.affinity,
      collation: column.collation,
    }
  }

  #inQuery(subject: Expression, query: Query): Operand {
    const value = inSourceForm(this.translate(subject))
    const { sql, columns } = this.#query(query)
    const [column] = columns
    const plain = column && columns.length === 1 && value.kind === column.kind && value.pg === column.pg
    const same = plain && value.affinity === column.affinity && value.collation?.name === column.collation?.name
    if (!same || (value.kind === 'text' && value.collation && value.collation.name !== 'BINARY') || value.pg === 'other')
      return refuse('IN is asked of a query whose values are of another kind')
    return boolean(`${wrap(value)} IN (${sql})`, false)
  }
}

/** `SELECT max(…) FROM …` without GROUP BY gives one row. */
const isWholeAggregate = ({ cores }: Query): boolean => {
  const [core] = cores
  const [column] = core?.columns ?? []
  if (core?.groupBy.length !== 0 || core.columns.length !== 1 || column?.kind !== 'expression') return false
  const { expression } = column
  return (
    expression.kind === 'call' &&
    ['count', 'sum', 'avg', 'min', 'max', 'total', 'group_concat'].includes(expression.name) &&
    expression.args.length <= 1
  )
}
