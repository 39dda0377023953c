import type Sqlite from 'better-sqlite3'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { createPostgresFixture, createSqliteFixture, fixtureTable } from './testing/differential-fixture.js'
import { translateExpression } from './translate-expression.js'
import { type ExpressionContext, isCarried } from './translation.js'

const database = useDatabase()
const client = useClient(database)
let sqlite: Sqlite.Database
let context: ExpressionContext

beforeAll(async () => {
  await createPostgresFixture(client)
  const fixture = createSqliteFixture()
  sqlite = fixture.db
  context = fixture.context
})

afterAll(() => {
  sqlite?.close()
})

type Value = null | bigint | number | string | Uint8Array

const readers: Readonly<Record<number, (text: string) => Value>> = {
  16: (text) => (text === 't' ? 1n : 0n),
  17: (text) => Buffer.from(text.slice(2), 'hex'),
  20: BigInt,
  21: BigInt,
  23: BigInt,
  25: String,
  701: Number,
  1043: String,
  1700: (text) => (/^-?\d+$/.test(text) ? BigInt(text) : Number(text)),
}

interface Answer {
  readonly id: number
  readonly value: Value
}

/** An error that says that a number left its range; the notes of a translation promise it. */
const isRangeError = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '22003'

const readRows = async (sql: string, where = ''): Promise<Answer[] | null> => {
  const result = await client.query<[string, string | null]>({
    text: `select id::text, (${sql}) from ${fixtureTable} ${where} order by ${fixtureTable}.id`,
    rowMode: 'array',
    types: { getTypeParser: () => (text: string) => text },
  } as never)
  const read = readers[result.fields[1]?.dataTypeID ?? 0]
  if (!read) return null
  return result.rows.map(([id, text]) => ({ id: Number(id), value: text === null ? null : read(text) }))
}

/** Postgres' answers by row; rows whose arithmetic leaves its range are left out where that is announced. */
const askPostgres = async (sql: string, notes: readonly string[]): Promise<Answer[] | null> => {
  try {
    return await readRows(sql)
  } catch (error) {
    if (!isRangeError(error) || !notes.some((note) => /beyond/.test(note))) throw error
  }
  const answers: Answer[] = []
  for (let id = 0; id < 60; id++) {
    try {
      answers.push(...((await readRows(sql, `where id = ${id}`)) ?? []))
    } catch (error) {
      if (!isRangeError(error)) throw error
    }
  }
  return answers
}

/** SQLite's answers, or null where it fails itself (abs() of the smallest integer). */
const askSqlite = (sql: string): Map<number, Value> | null => {
  try {
    const rows = sqlite
      .prepare<[], { id: bigint; value: Value }>(`SELECT id, (${sql}) AS value FROM ${fixtureTable} ORDER BY id`)
      .all()
    return new Map(rows.map(({ id, value }) => [Number(id), value]))
  } catch (error) {
    // DQS is off in the driver's build, and depth is bounded.
    if (error instanceof Error && /overflow|no such column|too deep|LIKE or GLOB pattern|ESCAPE expression/.test(error.message))
      return null
    throw error
  }
}

const isSame = (a: Value, b: Value): boolean => {
  if (a instanceof Uint8Array || b instanceof Uint8Array)
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  if (typeof a === 'bigint' && typeof b === 'bigint') return a === b
  if (a === null || b === null || typeof a === 'string' || typeof b === 'string') return a === b
  return Number(a) === Number(b)
}

interface Verdict {
  readonly carried: boolean
  readonly sql?: string
  readonly difference?: string
}

const inexact = /beyond 2\^53/

/** Evaluates on both sides what is carried. */
const judge = async (expression: string, as: 'value' | 'boolean' = 'value'): Promise<Verdict> => {
  const translation = translateExpression(expression, context, { as })
  if (!isCarried(translation)) return { carried: false }
  // A bare column is in the target's own terms, not a value to compare.
  if (/^"[^"]+"$/.test(translation.sql)) return { carried: true, sql: translation.sql }
  const expected = askSqlite(
    as === 'boolean' ? `CASE WHEN (${expression}) THEN 1 WHEN NOT (${expression}) THEN 0 END` : expression,
  )
  const found = expected && (await askPostgres(translation.sql, translation.notes))
  if (!expected || !found) return { carried: true, sql: translation.sql }
  const bigRows = translation.notes.some((note) => inexact.test(note)) ? new Set(sqliteRowsBeyondDoubles()) : new Set<number>()
  const odd = found.find(({ id, value }) => !bigRows.has(id) && !isSame(expected.get(id) ?? null, value))
  const show = (value: Value | undefined) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : `${typeof value} ${value}`
  const difference =
    odd && `row ${odd.id}: SQLite ${show(expected.get(odd.id))}, Postgres ${show(odd.value)}\n  ${translation.sql}`
  return { carried: true, sql: translation.sql, ...(difference !== undefined && { difference }) }
}

const sqliteRowsBeyondDoubles = (): number[] =>
  sqlite.prepare<[], bigint>(`SELECT id FROM ${fixtureTable} WHERE abs(big / 2) > 2251799813685248`).pluck().all().map(Number)

describe('expressions, each evaluated over the same rows by SQLite and by Postgres', () => {
  const same: readonly string[] = [
    'i + j * 2', 'i / j', 'i % j', '- i', '~ i', 'i & 5 | j', 'i << 3', 'i >> 1', '-7 / 2', '7 % -3', 'i / 0', '2147483647 + 1', 'big + 0',
    'j * 2', 'j + 2147483647', 'r + 1', 'r / 2', 'i / 2.0', 'r / r', 'r * 0', 'r - r', 'q * 2', 'q + r', 'abs(j)', 'abs(r)', 'round(r)', 'sign(r)', 'round(i)',
    'i = 5', 'i <> 5', 'i > 1.5', 'i = 1.0', 'big > 9007199254740992.5', 'big = 9007199254740992', 'r = 1', 'r > 0.1', 'q > 0.1', 'q = 19.99', 'q >= r', 'i < r', 'q BETWEEN 0 AND 2.5',
    "i = '5'", "i = ' 5 '", "r < '2.5'", "t = 5", "t > 'B'", "t < 'a'", "u = 'A'", "u > 'b'", "'A' = u", "t = u", "u = t", 'v = \'a\'', "v < 'b'", "t COLLATE NOCASE = 'AB'", "u COLLATE BINARY = 'A'",
    "s = 'now'", "s < '2024-01-01 00'", "z = 'a'", "z < 'b'", "o = x'00'", "o < x'61'", "o IS NULL",
    "t IN ('a', 'b', NULL)", 'i IN (1, 2, 5)', "i IN ('1', 2)", "u IN ('A', 'B')", 'i NOT IN (1, 2)', "'5' IN (i)", "'a' IN (u)", 'i IN ()', 'i NOT IN ()', 'f IN (0, 1)', "g IN ('yes', 'no')", 'h IN (0, -1)', 't IN (5, 10)',
    'i BETWEEN 0 AND j', 'i NOT BETWEEN 0 AND 5', "t BETWEEN 'A' AND 'a'", 'i IS NULL', 'i IS NOT NULL', 'i ISNULL', 'i NOTNULL', 'i NOT NULL', 'i IS j', 'i IS NOT j', 'i IS NOT DISTINCT FROM j', 'i IS DISTINCT FROM 5',
    'f', 'f = 1', 'f = 0', '1 = f', 'f <> 1', 'f IS 1', 'f = TRUE', 'f IS TRUE', 'f IS NOT TRUE', 'f IS FALSE', 'NOT f', 'f AND i', 'f + 1', 'f = 2', 'f > 0', 'f = i', 'h', 'h = -1', 'h = 1', 'h + 1', 'NOT h', "g = 'yes'", "g <> 'no'", "g = 'Yes'",
    'i AND j', 'i OR NULL', 'NOT i', 'r OR 0', '(i IS NULL) + (j IS NULL)', '(i IS NULL) = (j IS NULL)', '(i > 0) = 1', '(i > 0) <> (j > 0)', '(t = \'a\') IS TRUE', 'i > 0 IS NOT TRUE', 'TRUE', 'NULL', 'NOT NULL', '1', '0.5',
    'd = \'2024-01-01\'', "d >= '2024-01-01'", "d > '2023-12-31 12:00:00'", "d <= '2024-01-01 00:00:00'", "'2024-01-01' > d", "d BETWEEN '2024-01-01' AND '2024-12-31'", "d = 'nonsense'", "d > 'x'", 'd || \'!\'', 'length(d)', "d LIKE '2024%'", "substr(d, 1, 4)", "d = date('2024-01-01')",
    "m = '2024-01-01 00:00:00'", "m >= '2024-01-01'", "m > '2024-01-01'", "m < '2024-01-01'", "m <= '2024-01-01'", "m BETWEEN '2024-01-01' AND '2024-02-29 12:30:00'", "m = '2024-01-01T00:00:00'", "m < '2024'", "length(m)", 'm || n', "m BETWEEN datetime('2023-01-01') AND datetime('2024-01-01')", 'm = m', 'm < m',
    "n = '2024-01-01T00:00:00.250'", "n > '2024-01-01'", "n < '2024-01-01T00:00:00.251'", "w = '2024-01-01T00:00:00Z'", "w >= '2024-01-01'", "w > '2023'", 'w || \'\'', 'e > 1704067200', 'e = 0', 'e + 1', 'e / 60', 'e % 60', 'e IS NULL', "e = '1'",
    "k = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", 'length(k)', 'length(l)', "l LIKE '6BA7%'", 'k || l', 'length(x)', "x = '{}'", "x LIKE '%a%'", "json_extract(x, '$.a') = 'x'", "x ->> 'a' = 1", "x ->> '$.a' <> 'x'", "x ->> 'a' = 0", "x ->> '$.c.d' = 'deep'", "json_extract(x, '$.a') IS NULL", "json_extract(x, '$.a') IS NOT NULL", "y ->> 'a' = 'x'", "x ->> 'a' = '5'", "x ->> 'a' IN ('x', 1)", 'json_valid(x)', 'json_valid(y)', "x ->> 1 = 'x'", "json_extract(x, '$[1]') = 'x'",
    "t LIKE 'A%'", "t LIKE '%B'", "t LIKE 'a_b'", "t LIKE 'a\\_b'", "t LIKE 'a\\_b' ESCAPE '\\'", "t LIKE 'a!%b' ESCAPE '!'", "t NOT LIKE 'é'", "t LIKE u", "t LIKE 5", "i LIKE '1%'", "u LIKE 'a%'", "t LIKE NULL", "t LIKE '%\\'", "t LIKE 'AÉ'", "t LIKE 'aé'", "t LIKE '%' || 'É'", "like('a%', t)", "t LIKE '%'",
    "t GLOB 'a*'", "t GLOB '?'", "t GLOB '[a-b]*'", "t GLOB '[^a-zA-Z]*'", "t NOT GLOB '*[^0-9]*'", "i GLOB '1*'", "t GLOB 'it''s'", "t GLOB '*(*'", "t GLOB '*.*'", "t GLOB 'a\\b'", "glob('a*', t)", "t GLOB '***'",
    'lower(t)', 'upper(u)', "lower('ÀB')", 'length(t)', 'length(o)', 'length(i)', 'length(f)', 'octet_length(t)', 'trim(v)', "ltrim(t, 'a')", "rtrim(v, 'a ')", "trim(t, '')", 'substr(t, 2)', 'substr(t, 1, 1)', 'substr(t, -2)', 'substr(t, -3, 2)', 'substr(t, -1, 1)', 'substr(t, 0, 2)', 'substr(t, 0)', 'substr(o, 2)', 'substr(o, -1)', 'substr(i, 2)', "instr(t, 'b')", "instr(t, '')", "replace(t, 'a', 'xx')", "replace(t, '', 'x')", 'replace(i, 1, 2)',
    'ifnull(i, j)', 'coalesce(t, u, \'none\')', 'coalesce(f, 0)', 'coalesce(NULL, i)', 'nullif(i, 1)', "nullif(u, 'A')", 'nullif(t, u)', 'nullif(i, CAST(i AS TEXT))', "nullif(NULL, t)", "iif(i > 1, 'big', 'small')", 'iif(f, 1, 0)', 'min(i, j)', 'max(i, j, 0)', "max(t, 'b')", "min(t, u)", 'max(r, 0.5)', 'hex(o)', 'hex(t)', 'hex(NULL)', 'unicode(t)', "typeof(i)", "typeof(i) = 'integer'", "typeof(i) IN ('integer', 'null')", "typeof(t) <> 'text'", "typeof(r) = 'real'", "typeof(t) IN ('integer')", "'null' = typeof(t)", "typeof(NULL)", "typeof(d)", "likely(i)",
    "CASE WHEN i > 0 THEN 'p' WHEN i < 0 THEN 'n' END", "CASE i WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE t END", "CASE u WHEN 'A' THEN 1 ELSE 0 END", 'CASE WHEN f THEN i ELSE j END', 'CASE WHEN i THEN r ELSE 0 END', 'CASE WHEN t IS NULL THEN NULL END',
    'CAST(i AS TEXT)', 'CAST(r AS INTEGER)', 'CAST(i AS REAL)', 'CAST(f AS TEXT)', 'CAST(q AS INTEGER)', "CAST('12' AS INTEGER)", 'CAST(t AS TEXT)', 'CAST(NULL AS TEXT)', 'CAST(t AS BLOB)', 'length(CAST(t AS BLOB))', 'CAST(i AS REAL) / 2', "CAST(i AS TEXT) = 5", 'CAST(q AS REAL)', 'CAST(i AS NUMERIC)',
    "t || i", 'i || j', "t || NULL", "'a' || 'b'", 't || u || v', "+i", "+t = 'a'", '(((i)))', '-9223372036854775808', '0x10', '1_000', '1e3', '.5', "''''", '"t"', '[t]', '`t`', "fix.i", 'FIX."I"', 'rowid', 'oid + 1', "'é' = 'É' COLLATE NOCASE", "i BETWEEN 1 AND 5 = 1", 'NOT i = 5', 'NOT (i AND j)', 'i IS NOT NULL AND j > 0 OR r < 0', 'i = 5 OR t = \'a\' AND u = \'b\'', '1 < 2 = 1', '2 - 1 - 1', '8 / 4 / 2', '- - 5', '-i + +j', '1 + 2 || 3', "i -- note\n+ 1", 'i /* x */ + 1',
  ] // biome-ignore format: a list

  it.each(same)('%s', async (expression) => {
    const verdict = await judge(expression)
    expect(verdict.difference).toBeUndefined()
    const condition = await judge(expression, 'boolean')
    expect(condition.difference).toBeUndefined()
  })

  it('are carried for the greater part of that list', async () => {
    const verdicts = await Promise.all(same.map(async (expression) => ({ expression, ...(await judge(expression)) })))
    const refused = verdicts.filter((verdict) => !verdict.carried).map((verdict) => verdict.expression)
    expect(refused).toMatchInlineSnapshot(`
      [
        "'5' IN (i)",
        "g = 'Yes'",
        "m < '2024'",
        "substr(o, 2)",
        "substr(o, -1)",
        "nullif(i, CAST(i AS TEXT))",
        "min(t, u)",
        "1 + 2 || 3",
      ]
    `)
  })
})

const columnsOf = (...names: string[]) => fc.constantFrom(...names)

/** Expressions of every kind the translator knows, with classes, affinities and collations mixed as they come. */
const { any } = fc.letrec<Record<'any' | 'number' | 'text' | 'condition' | 'leaf', string>>((tie) => {
  const number = tie('number')
  const text = tie('text')
  const condition = tie('condition')
  const anything = tie('any')
  const cat = (...parts: (fc.Arbitrary<string> | string)[]) =>
    fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((list) => list.join(''))
  const grouped = (inner: fc.Arbitrary<string>) =>
    fc.tuple(inner, fc.integer({ min: 0, max: 3 })).map(([sql, n]) => (n === 0 ? sql : `(${sql})`))
  const numberLeaf = fc.oneof(
    columnsOf('i', 'j', 'big', 'r', 'q', 'f', 'h', 'e'),
    fc.constantFrom(
      '0',
      '1',
      '2',
      '-1',
      '5',
      '1.5',
      '0.1',
      '-2.5',
      '10',
      '9007199254740993',
      '1e10',
      '0x1F',
      'NULL',
      'TRUE',
      'FALSE',
      "'5'",
      "'1.5'",
    ),
  )
  const textLeaf = fc.oneof(
    columnsOf('t', 'u', 'v', 's', 'z', 'g', 'd', 'm', 'n', 'w', 'k', 'l', 'x', 't', 'u'),
    fc.constantFrom(
      "'a'",
      "'A'",
      "'b'",
      "''",
      "' '",
      "'é'",
      "'5'",
      "'10'",
      "'yes'",
      "'2024-01-01'",
      "'2024-01-01 00:00:00'",
      "'a\\b'",
      "'it''s'",
      'NULL',
      "'%'",
      "'a '",
    ),
  )
  const blobLeaf = fc.oneof(columnsOf('o'), fc.constantFrom("x''", "x'61'", "x'00ff'"))
  const leaf = fc.oneof(
    { arbitrary: numberLeaf, weight: 4 },
    { arbitrary: textLeaf, weight: 4 },
    { arbitrary: blobLeaf, weight: 1 },
  )
  const small = fc.constantFrom('-3', '-2', '-1', '0', '1', '2', '3', '10')
  const collate = fc.constantFrom('', '', '', ' COLLATE NOCASE', ' COLLATE RTRIM', ' COLLATE BINARY')
  const comparison = fc.constantFrom('=', '==', '<>', '!=', '<', '<=', '>', '>=', ' IS ', ' IS NOT ', ' IS NOT DISTINCT FROM ')
  return {
    leaf,
    number: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      numberLeaf,
      cat(grouped(number), fc.constantFrom(' + ', ' - ', ' * ', ' / ', ' % ', ' & ', ' | '), grouped(number)),
      cat(fc.constantFrom('-', '+', '~', '- '), grouped(number)),
      cat(grouped(number), fc.constantFrom(' << ', ' >> '), small),
      cat(fc.constantFrom('abs', 'round', 'sign', 'likely', ''), '(', number, ')'),
      cat(fc.constantFrom('length', 'octet_length', 'unicode'), '(', anything, ')'),
      cat('instr(', text, ', ', text, ')'),
      cat(fc.constantFrom('coalesce', 'ifnull', 'nullif', 'min', 'max'), '(', number, ', ', number, ')'),
      cat('iif(', condition, ', ', number, ', ', number, ')'),
      cat('CASE WHEN ', condition, ' THEN ', number, ' ELSE ', number, ' END'),
      cat('CASE ', anything, ' WHEN ', anything, ' THEN ', number, ' END'),
      cat('CAST(', anything, ' AS ', fc.constantFrom('INTEGER', 'REAL', 'NUMERIC'), ')'),
      grouped(condition),
    ),
    text: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      textLeaf,
      cat(grouped(text), ' || ', grouped(anything)),
      cat(fc.constantFrom('lower', 'upper', 'trim', 'ltrim', 'rtrim', 'hex', 'typeof'), '(', anything, ')'),
      cat(fc.constantFrom('trim', 'ltrim', 'rtrim'), '(', text, ', ', text, ')'),
      cat('substr(', anything, ', ', small, ')'),
      cat('substr(', anything, ', ', small, ', ', small, ')'),
      cat('replace(', text, ', ', text, ', ', text, ')'),
      cat(fc.constantFrom('coalesce', 'ifnull', 'nullif', 'min', 'max'), '(', text, ', ', text, ')'),
      cat('CASE WHEN ', condition, ' THEN ', text, ' ELSE ', text, ' END'),
      cat('CAST(', anything, ' AS TEXT)'),
    ),
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      cat(grouped(number), comparison, grouped(number)),
      cat(grouped(text), collate, comparison, grouped(text), collate),
      cat(grouped(anything), comparison, grouped(anything)),
      cat(anything, fc.constantFrom(' IS NULL', ' IS NOT NULL', ' ISNULL', ' NOTNULL', ' IS TRUE', ' IS NOT FALSE')),
      cat(grouped(anything), fc.constantFrom(' IN (', ' NOT IN ('), leaf, ', ', leaf, ', ', anything, ')'),
      cat(grouped(anything), fc.constantFrom(' BETWEEN ', ' NOT BETWEEN '), grouped(anything), ' AND ', grouped(anything)),
      cat(
        grouped(text),
        fc.constantFrom(' LIKE ', ' NOT LIKE '),
        fc.constantFrom("'a%'", "'%A'", "'_'", "'%\\_%'", "'é'", 't', "'%'", "''", "'2024-%'"),
      ),
      cat(
        grouped(anything),
        fc.constantFrom(' GLOB ', ' NOT GLOB '),
        fc.constantFrom("'a*'", "'*[0-9]*'", "'?'", "'[^a]*'", "'*'", "'*\\*'", "'[A-Z]'"),
      ),
      cat(grouped(condition), fc.constantFrom(' AND ', ' OR '), grouped(condition)),
      cat('NOT ', grouped(anything)),
      cat(
        fc.constantFrom('x', 'y'),
        fc.constantFrom(" ->> 'a'", " ->> '$.a'", " ->> '$.c.d'"),
        fc.constantFrom(' = ', ' <> '),
        fc.constantFrom("'x'", '1', '0', '5', "'5'"),
      ),
    ),
    any: fc.oneof(
      { arbitrary: leaf, weight: 1 },
      { arbitrary: number, weight: 2 },
      { arbitrary: text, weight: 2 },
      { arbitrary: condition, weight: 3 },
    ),
  }
})

describe('random expressions', () => {
  const numRuns = Number(process.env['TIDEMARK_DIFFERENTIAL_RUNS'] ?? 1500)

  it('give the same in Postgres as in SQLite, or are refused', async () => {
    let carried = 0
    await fc.assert(
      fc.asyncProperty(any, fc.constantFrom('value' as const, 'boolean' as const), async (expression, as) => {
        const verdict = await judge(expression, as).catch((error: Error) => ({
          carried: true,
          difference: error.message,
          sql: '',
        }))
        if (verdict.carried) carried++
        expect(verdict.difference, expression).toBeUndefined()
      }),
      { numRuns },
    )
    // Random classes meet mostly where SQLite and Postgres have nothing in common; what people write is the list above.
    expect(carried / numRuns).toBeGreaterThan(0.25)
  }, 600_000)

  it('that are said to be immutable are taken into an index', async () => {
    await fc.assert(
      fc.asyncProperty(any, async (expression) => {
        const translation = translateExpression(expression, context, { immutable: true })
        if (!isCarried(translation)) return
        await client.query('begin')
        try {
          await client.query(`create index on ${fixtureTable} ((${translation.sql})) where false`)
        } catch (error) {
          // No order, no type of its own, or constants beyond the range: other tests look after those.
          if (error instanceof Error && !/no default operator class|type unknown|pseudo-type|out of range/.test(error.message))
            throw error
        } finally {
          await client.query('rollback')
        }
      }),
      { numRuns: numRuns / 5 },
    )
  }, 600_000)
})
