import type { Column, RelationName } from '../../catalogue.js'

export type SqlValue = string | Buffer | null

/** A value that reaches Postgres beside the statement. */
interface Parameter {
  readonly value: SqlValue
  /** Two of one key are one: expressions that are the same must stay so, as GROUP BY compares them. */
  readonly key: string | undefined
}

type Part = string | Parameter | Sql

/** A piece of a statement. Its text comes from this folder's own words and from the catalogue, never from a request. */
export class Sql {
  readonly #parts: readonly Part[]

  constructor(parts: readonly Part[]) {
    this.#parts = parts
  }

  /** The text with `$1` and so on, and what they stand for. */
  render(): { readonly text: string; readonly values: readonly SqlValue[] } {
    const texts: string[] = []
    const values: SqlValue[] = []
    const shared = new Map<string, number>()
    const numberOf = ({ value, key }: Parameter): number => {
      const known = key === undefined ? undefined : shared.get(key)
      if (known !== undefined) return known
      const number = values.push(value)
      if (key !== undefined) shared.set(key, number)
      return number
    }
    const write = (part: Part): void => {
      if (typeof part === 'string') texts.push(part)
      else if (part instanceof Sql) for (const inner of part.#parts) write(inner)
      else texts.push(`$${numberOf(part)}`)
    }
    write(this)
    return { text: texts.join(''), values }
  }
}

/** Only pieces may stand in the gaps: a string of a request cannot. A statement is made of hundreds, hence the plain loop. */
export const sql = (words: TemplateStringsArray, ...gaps: readonly Sql[]): Sql => {
  const parts: Part[] = [words[0]!]
  for (let index = 0; index < gaps.length; index += 1) parts.push(gaps[index]!, words[index + 1]!)
  return new Sql(parts)
}

export const nothing = new Sql([])

export const join = (pieces: readonly Sql[], separator: ', ' | ' and ' | ' or ' | ' || ' | ' ' = ', '): Sql => {
  const parts: Part[] = []
  for (const piece of pieces) {
    if (parts.length > 0) parts.push(separator)
    parts.push(piece)
  }
  return new Sql(parts)
}

/** A value whose type is what its place in the statement makes of it, as of a literal: so that indexes serve. */
export const value = (text: SqlValue): Sql => new Sql([{ value: text, key: undefined }])

export const textValue = (text: string): Sql => new Sql([{ value: text, key: `text ${text}` }, '::text'])

export const intValue = (number: number): Sql => new Sql([{ value: String(number), key: `int ${number}` }, '::int'])

export const bigintValue = (number: number): Sql => new Sql([{ value: String(number), key: `bigint ${number}` }, '::bigint'])

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** To be given names of the catalogue only. */
export const identifier = (name: string): Sql => new Sql([quoted(name)])

/** To be given names of the catalogue only. */
export const relationSql = ({ schema, name }: RelationName): Sql => new Sql([`${quoted(schema)}.${quoted(name)}`])

/** To be given types of the catalogue only, which writes them safely. */
export const typeSql = (type: string): Sql => new Sql([type])

/** A column's default, as Postgres itself writes it out. */
export const defaultSql = (column: Column & { readonly default: string }): Sql => new Sql([column.default])

/** A name of the catalogue as a literal. */
export const literal = (name: string): Sql => {
  const text = `'${name.replaceAll("'", "''")}'`
  return new Sql([text.includes('\\') ? `E${text.replaceAll('\\', '\\\\')}` : text])
}

/** `t0`, `c3`: names of our own, which are short and meet no other since every column is written with its table. */
export const own = (letter: 'b' | 'c' | 'e' | 'j' | 'o' | 't', number: number): Sql => new Sql([`${letter}${number}`])
