import type { Condition, Embed, Field, Filter, OrderTerm, Read, SelectItem, Test } from '../query.js'

const inQuotes = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`

const reserved = /^(order|limit|offset|and|or|select|columns|on_conflict|inner|left)$/

/** A name in quotes, unless it is read as it is. */
const printName = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !reserved.test(name) ? name : inQuotes(name)

const printKey = (key: string | number): string =>
  typeof key === 'number' || /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? String(key) : inQuotes(key)

const printField = ({ column, path }: Field): string =>
  `${printName(column)}${path.map(({ arrow, key }) => `${arrow}${printKey(key)}`).join('')}`

const prefix = (alias: string | undefined): string => (alias === undefined ? '' : `${printName(alias)}:`)
const cast = (type: string | undefined): string => (type === undefined ? '' : `::${type}`)

const printEmbed = (embed: Embed): string => {
  const hint = embed.hint === undefined ? '' : `!${printName(embed.hint)}`
  const join = embed.join === undefined ? '' : `!${embed.join}`
  const start = embed.spread ? '...' : prefix(embed.alias)
  return `${start}${printName(embed.relation)}${hint}${join}(${printSelect(embed.read.select)})`
}

const printItem = (item: SelectItem): string => {
  switch (item.kind) {
    case 'all':
      return '*'
    case 'count':
      return `${prefix(item.alias)}count()${cast(item.cast)}`
    case 'embed':
      return printEmbed(item)
    case 'column': {
      const aggregate = item.aggregate === undefined ? '' : `.${item.aggregate}()`
      return `${prefix(item.alias)}${printField(item.field)}${cast(item.cast)}${aggregate}${cast(item.aggregateCast)}`
    }
  }
}

const printSelect = (items: readonly SelectItem[]): string => items.map(printItem).join(',')

const printElement = (value: string): string => (value === '' || /^[\s"]|[,)]/.test(value) ? inQuotes(value) : value)

/** A test, with its value as it stands alone or (`inLogic`) among others. */
const printTest = (test: Test, inLogic: boolean): string => {
  switch (test.operator) {
    case 'in':
      return `in.(${test.values.map(printElement).join(',')})`
    case 'is':
      return `is.${test.value}`
    default: {
      const value = inLogic && /^["{]|[,)]/.test(test.value) ? inQuotes(test.value) : test.value
      const quantifier = 'quantifier' in test ? `(${test.quantifier})` : ''
      const configuration = 'configuration' in test && test.configuration !== undefined ? `(${test.configuration})` : ''
      return `${test.operator}${quantifier}${configuration}.${value}`
    }
  }
}

const printOperation = ({ negated, test }: Filter, inLogic: boolean): string =>
  `${negated ? 'not.' : ''}${printTest(test, inLogic)}`

const printCondition = (condition: Condition): string =>
  condition.kind === 'filter'
    ? `${printField(condition.field)}.${printOperation(condition, true)}`
    : `${condition.negated ? 'not.' : ''}${condition.kind}(${condition.conditions.map(printCondition).join(',')})`

const printTerm = ({ relation, field, direction, nulls }: OrderTerm): string => {
  const column = relation === undefined ? printField(field) : `${printName(relation)}(${printField(field)})`
  return `${column}${direction === undefined ? '' : `.${direction}`}${nulls === undefined ? '' : `.nulls${nulls}`}`
}

/** The parameters that fill one read and what is embedded in it. */
const parametersOf = (read: Read, path: readonly string[]): readonly (readonly [string, string])[] => {
  const name = (last: string) => [...path.map(printName), last].join('.')
  const conditions = read.where.map((condition): readonly [string, string] =>
    condition.kind === 'filter'
      ? [name(printField(condition.field)), printOperation(condition, false)]
      : [name(`${condition.negated ? 'not.' : ''}${condition.kind}`), `(${condition.conditions.map(printCondition).join(',')})`],
  )
  const embeds = read.select.filter((item): item is Embed => item.kind === 'embed')
  return [
    ...conditions,
    ...(read.order.length > 0 ? [[name('order'), read.order.map(printTerm).join(',')] as const] : []),
    ...(read.limit === undefined ? [] : [[name('limit'), String(read.limit)] as const]),
    ...(read.offset === undefined ? [] : [[name('offset'), String(read.offset)] as const]),
    ...embeds.flatMap((embed) => parametersOf(embed.read, [...path, embed.alias ?? embed.relation])),
  ]
}

/** The query string that asks for exactly this. */
export const printQuery = (read: Read): string =>
  [['select', printSelect(read.select)] as const, ...parametersOf(read, [])]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&')
