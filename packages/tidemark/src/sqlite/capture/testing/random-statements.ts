/** What an application may do to the tables of a random schema. */
import type { Random } from './random.js'
import type { RandomSchema, RandomTable } from './random-schema.js'

const values = [
  'NULL',
  'NULL',
  '0',
  '1',
  '2',
  '3',
  '4',
  '-1',
  '1.0',
  '2.5',
  "'a'",
  "'A'",
  "'b'",
  "'b '",
  "'1'",
  "'word'",
  "x'61'",
  "x''",
  "CAST(x'ff61' AS TEXT)",
  '9007199254740993',
  "'Ä'",
]
const orClauses = ['', '', ' OR REPLACE', ' OR REPLACE', ' OR REPLACE', ' OR IGNORE', ' OR FAIL', ' OR ROLLBACK', ' OR ABORT']

const quote = (name: string): string => `"${name}"`

const row = (random: Random, columns: readonly string[]): string => `(${columns.map(() => random.pick(values)).join(', ')})`

const written = (random: Random, { columns, rowidWords }: RandomTable): readonly string[] => {
  const names = random.some(columns).map(quote)
  return rowidWords.length > 0 && random.oneIn(6) ? [random.pick(rowidWords), ...names] : names
}

const condition = (random: Random, { columns, rowidWords }: RandomTable): string => {
  const column = random.oneIn(3) && rowidWords.length > 0 ? 'rowid' : quote(random.pick(columns))
  const value = random.pick(values)
  return random.pick([`${column} = ${value}`, `${column} IS ${value}`, `${column} > ${value}`, `${column} <> ${value}`, '1'])
}

const assignments = (random: Random, table: RandomTable): string => {
  const names = written(random, table).slice(0, 2)
  const other = () =>
    random.pick([random.pick(values), quote(random.pick(table.columns)), `${quote(random.pick(table.columns))} + 1`])
  return names.map((name) => `${name} = ${other()}`).join(', ')
}

const insert = (random: Random, table: RandomTable): string => {
  const columns = written(random, table)
  const rows = Array.from({ length: 1 + random.below(3) }, () => row(random, columns)).join(', ')
  const or = random.pick(orClauses)
  const into = `INTO ${quote(table.name)} (${columns.join(', ')})`
  if (random.oneIn(8)) return `INSERT${or} ${into} SELECT ${columns.join(', ')} FROM ${quote(table.name)}`
  const target = random.oneIn(4) && or === '' ? random.pick(table.targets) : undefined
  const on = target ? ` ON CONFLICT (${target.map(quote).join(', ')})` : ''
  const upsert = on && random.pick([`${on} DO NOTHING`, `${on} DO UPDATE SET ${assignments(random, table)}`])
  return `INSERT${or} ${into} VALUES ${rows}${upsert}`
}

const update = (random: Random, table: RandomTable): string => {
  const from = random.oneIn(8) ? ` FROM (SELECT ${random.pick(values)} AS zz) AS s` : ''
  return `UPDATE${random.pick(orClauses)} ${quote(table.name)} SET ${assignments(random, table)}${from} WHERE ${condition(random, table)}`
}

const remove = (random: Random, table: RandomTable): string =>
  random.oneIn(12) ? `DELETE FROM ${quote(table.name)}` : `DELETE FROM ${quote(table.name)} WHERE ${condition(random, table)}`

const simple = (random: Random, { tables }: RandomSchema): string => {
  const table = random.pick(tables)
  const kind = random.below(10)
  return kind < 5 ? insert(random, table) : kind < 9 ? update(random, table) : remove(random, table)
}

/** One step: mostly a single statement, else some of them under savepoints that may be rolled back. */
export const randomStep = (random: Random, schema: RandomSchema): readonly string[] => {
  if (!random.oneIn(12)) return [simple(random, schema)]
  const inner = Array.from({ length: 1 + random.below(3) }, () => simple(random, schema))
  const end = random.pick(['RELEASE s', 'ROLLBACK TO s', 'ROLLBACK TO s'])
  return random.oneIn(2)
    ? ['SAVEPOINT s', ...inner, end, simple(random, schema), 'RELEASE s']
    : ['BEGIN', simple(random, schema), 'SAVEPOINT s', ...inner, end, random.pick(['COMMIT', 'ROLLBACK'])]
}
