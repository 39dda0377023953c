import type { TypeFact } from './queries.js'

/** A type of the catalogue. */
export interface CataloguedType {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** As it is written in SQL, with its schema where that is not pg_catalog. */
  readonly sql: string
  /** pg_type.typtype: b base, c composite, d domain, e enum, m multirange, p pseudo, r range. */
  readonly kind: string
  readonly category: string
  /** Whether there are arrays of it. */
  readonly hasArray: boolean
  /** Of a domain: what it stands on. */
  readonly baseOid: number
  readonly modifier: number
  /** Of a composite type: its relation. */
  readonly relationOid: number
  readonly takesModifier: boolean
  readonly notNull: boolean
  readonly default: string | undefined
  readonly enumValues: readonly string[]
}

/** `labels` are those of enums, by number. */
export const cataloguedType = (fact: TypeFact, labels: ReadonlyMap<number, readonly string[]>): CataloguedType => {
  const oid = Number(fact[0])
  return {
    oid,
    schema: fact[1]!,
    name: fact[2]!,
    sql: fact[3]!,
    kind: fact[4]!,
    category: fact[5]!,
    hasArray: fact[6] !== '0',
    baseOid: Number(fact[7]),
    modifier: Number(fact[8]),
    relationOid: Number(fact[9]),
    takesModifier: fact[10] === 'true',
    notNull: fact[11] === 'false',
    default: fact[12] ?? undefined,
    enumValues: labels.get(oid) ?? none,
  }
}

const none: readonly string[] = []

type Token = { readonly kind: 'word' | 'quoted' | 'number' | 'sign'; readonly text: string }

const tokenPattern = /\s*(?:([\p{L}_][\p{L}\p{N}_$]*)|"((?:[^"\0]|"")+)"|(-?\d{1,9})|([.,()[\]]))\s*/uy
const maxLength = 300
const maxDimensions = 6

/** Postgres folds ASCII letters alone where the database is in UTF-8. */
const fold = (word: string): string => word.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

const tokensOf = (text: string): readonly Token[] | undefined => {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < text.length) {
    const match = tokenPattern.exec(text)
    if (!match) return undefined
    const [, word, quoted, number, sign] = match
    if (word !== undefined) tokens.push({ kind: 'word', text: fold(word) })
    else if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted.replaceAll('""', '"') })
    else tokens.push(number === undefined ? { kind: 'sign', text: sign! } : { kind: 'number', text: number })
  }
  return tokens
}

/** A type as it was asked for, taken apart. */
interface Spelling {
  /** Unquoted words in front, such as `timestamp with time zone`; empty where the name is quoted or has its schema. */
  readonly phrase: string
  readonly schema: string | undefined
  readonly name: string
  readonly modifiers: readonly Token[]
  readonly array: boolean
}

/** Reads tokens from left to right; every step gives undefined where the next token is another. */
class Reader {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get ended(): boolean {
    return this.#at === this.#tokens.length
  }

  take(kind: Token['kind'], text?: string): Token | undefined {
    const token = this.#tokens[this.#at]
    if (token?.kind !== kind || (text !== undefined && token.text !== text)) return undefined
    this.#at += 1
    return token
  }

  identifier(): Token | undefined {
    return this.take('word') ?? this.take('quoted')
  }

  words(): readonly string[] {
    const words: string[] = []
    for (let word = this.take('word'); word; word = this.take('word')) words.push(word.text)
    return words
  }
}

/** `(10, 2)`; an empty list where there are no parentheses, undefined where they are not well formed. */
const readModifiers = (reader: Reader): readonly Token[] | undefined => {
  if (!reader.take('sign', '(')) return []
  const modifiers: Token[] = []
  do {
    const modifier = reader.take('number') ?? reader.identifier()
    if (!modifier) return undefined
    modifiers.push(modifier)
  } while (reader.take('sign', ','))
  return reader.take('sign', ')') ? modifiers : undefined
}

/** `[]`, `[3][]`: Postgres keeps neither their number nor their sizes. */
const readDimensions = (reader: Reader): number | undefined => {
  let dimensions = 0
  for (; reader.take('sign', '['); dimensions += 1) {
    reader.take('number')
    if (!reader.take('sign', ']')) return undefined
  }
  return dimensions
}

const spellingOf = (text: string): Spelling | undefined => {
  const tokens = text.length > maxLength ? undefined : tokensOf(text)
  if (!tokens) return undefined
  const reader = new Reader(tokens)
  const words = reader.words()
  const first = words.length > 0 ? undefined : reader.take('quoted')
  const name = first?.text ?? words[0]
  if (name === undefined) return undefined
  const qualified = words.length <= 1 && reader.take('sign', '.') ? reader.identifier() : undefined
  const modifiers = readModifiers(reader)
  const suffix = reader.words()
  const dimensions = readDimensions(reader)
  if (!modifiers || dimensions === undefined || dimensions > maxDimensions || !reader.ended) return undefined
  const phrase = qualified || first ? [] : [...words, ...suffix]
  if (phrase.length === 0 && suffix.length > 0) return undefined
  const parts = qualified ? { schema: name, name: qualified.text } : { schema: undefined, name }
  return { phrase: phrase.join(' '), ...parts, modifiers, array: dimensions > 0 }
}

/** The names that the grammar of SQL has for types of pg_catalog. Those of one word stand there under other names. */
const spelledOut: ReadonlyMap<string, string> = new Map([
  ['int', 'int4'],
  ['integer', 'int4'],
  ['smallint', 'int2'],
  ['bigint', 'int8'],
  ['real', 'float4'],
  ['float', 'float8'],
  ['double precision', 'float8'],
  ['decimal', 'numeric'],
  ['dec', 'numeric'],
  ['boolean', 'bool'],
  ['bit varying', 'varbit'],
  ['character', 'bpchar'],
  ['char', 'bpchar'],
  ['nchar', 'bpchar'],
  ['national character', 'bpchar'],
  ['national char', 'bpchar'],
  ['character varying', 'varchar'],
  ['char varying', 'varchar'],
  ['nchar varying', 'varchar'],
  ['national character varying', 'varchar'],
  ['national char varying', 'varchar'],
  ['timestamp without time zone', 'timestamp'],
  ['timestamp with time zone', 'timestamptz'],
  ['time without time zone', 'time'],
  ['time with time zone', 'timetz'],
])

/** One character or bit, where no length is given. */
const lengthOfOne: ReadonlySet<string> = new Set(['bit', 'character', 'char', 'nchar', 'national character', 'national char'])

type Bounds = readonly [least: number, most: number]
const length: Bounds = [1, 10_485_760]
const bits: Bounds = [1, 83_886_080]
const precision: Bounds = [0, 6]

/** What of pg_catalog takes a modifier, within which bounds, and how the whole is written. */
const modified: ReadonlyMap<string, { readonly bounds: readonly Bounds[]; readonly write: (list: string) => string }> = new Map([
  ['varchar', { bounds: [length], write: (list) => `character varying(${list})` }],
  ['bpchar', { bounds: [length], write: (list) => `character(${list})` }],
  ['bit', { bounds: [bits], write: (list) => `bit(${list})` }],
  ['varbit', { bounds: [bits], write: (list) => `bit varying(${list})` }],
  [
    'numeric',
    {
      bounds: [
        [1, 1000],
        [-1000, 1000],
      ],
      write: (list) => `numeric(${list})`,
    },
  ],
  ['timestamp', { bounds: [precision], write: (list) => `timestamp(${list}) without time zone` }],
  ['timestamptz', { bounds: [precision], write: (list) => `timestamp(${list}) with time zone` }],
  ['time', { bounds: [precision], write: (list) => `time(${list}) without time zone` }],
  ['timetz', { bounds: [precision], write: (list) => `time(${list}) with time zone` }],
  ['interval', { bounds: [precision], write: (list) => `interval(${list})` }],
])

const within = (value: number, [least, most]: Bounds): boolean => value >= least && value <= most

const builtInWithModifiers = (name: string, modifiers: readonly Token[]): string | undefined => {
  const rule = modified.get(name)
  const numbers = modifiers.map(({ kind, text }) => (kind === 'number' ? Number(text) : Number.NaN))
  if (!rule || numbers.length > rule.bounds.length || !numbers.every((value, index) => within(value, rule.bounds[index]!)))
    return undefined
  return rule.write(numbers.join(','))
}

/** `geometry(Point, 4326)`, `vector(3)`: what the modifiers mean is the extension's affair. Words go as literals. */
const foreignWithModifiers = (
  { sql, category, takesModifier }: CataloguedType,
  modifiers: readonly Token[],
): string | undefined => {
  // Postgres' own name of an array, with the modifiers of its elements.
  if (!takesModifier || category === 'A') return undefined
  const written = modifiers.map(({ kind, text }) => {
    if (kind === 'number') return String(Number(text))
    return /^[A-Za-z][A-Za-z0-9_]{0,62}$/.test(text) ? `'${text}'` : undefined
  })
  return written.includes(undefined) ? undefined : `${sql}(${written.join(',')})`
}

const floatOf = (modifiers: readonly Token[]): string | undefined => {
  const [digits, ...more] = modifiers
  if (digits?.kind !== 'number' || more.length > 0 || !within(Number(digits.text), [1, 53])) return undefined
  return Number(digits.text) <= 24 ? 'float4' : 'float8'
}

/**
 * Makes the reader of type names. Unqualified names are looked for in pg_catalog and then in `path`. What comes out is written by
 * Postgres but for numbers and single words inside parentheses.
 */
export const createTypeNames = (
  types: Iterable<CataloguedType>,
  path: readonly string[],
): ((text: string) => string | undefined) => {
  const bySchema = new Map<string, Map<string, CataloguedType>>()
  for (const type of types) {
    if (type.kind === 'p') continue
    const known = bySchema.get(type.schema) ?? new Map<string, CataloguedType>()
    bySchema.set(type.schema, known.set(type.name, type))
  }
  const searched = [...new Set(['pg_catalog', ...path])]

  const find = ({ schema, name, phrase }: Spelling): CataloguedType | undefined => {
    const builtIn = spelledOut.get(phrase)
    if (builtIn !== undefined) return bySchema.get('pg_catalog')?.get(builtIn)
    if (phrase.includes(' ')) return undefined
    const schemas = schema === undefined ? searched : [schema]
    return schemas.map((known) => bySchema.get(known)?.get(name)).find((type) => type !== undefined)
  }

  const element = (spelling: Spelling, type: CataloguedType): string | undefined => {
    const { phrase, modifiers } = spelling
    if (modifiers.length === 0) {
      return lengthOfOne.has(phrase) ? builtInWithModifiers(type.name, [{ kind: 'number', text: '1' }]) : type.sql
    }
    if (phrase === 'float') {
      const name = floatOf(modifiers)
      return name === undefined ? undefined : bySchema.get('pg_catalog')?.get(name)?.sql
    }
    return type.schema === 'pg_catalog' ? builtInWithModifiers(type.name, modifiers) : foreignWithModifiers(type, modifiers)
  }

  return (text) => {
    const spelling = spellingOf(text)
    const type = spelling && find(spelling)
    if (!spelling || !type) return undefined
    const written = element(spelling, type)
    if (written === undefined || !spelling.array) return written
    return type.hasArray ? `${written}[]` : undefined
  }
}
