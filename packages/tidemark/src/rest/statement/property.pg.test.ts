import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sqlstateOf } from '../../postgres/postgres.js'
import { propertyRuns } from '../../testing/property-runs.js'
import type { Read, SelectItem } from '../query.js'
import { isRestError } from '../rest-error.js'
import { readsOf } from '../testing/catalogue-reads.js'
import { reads, type Words } from '../testing/query-strings.js'
import { useLibrary, users } from '../testing/use-library.js'
import { runStatement } from './run-statement.js'
import { createStatement } from './statement.js'
import { StatementNames } from './statement-names.js'

const { catalogue, pool } = useLibrary()

/** In everything that only a caller says, so that it shows where it went. */
const mark = 'zqxj'

const columns = [
  'id',
  'name',
  'title',
  'author_id',
  'price',
  'data',
  'tags',
  'home',
  'initials',
  'day',
  'amount',
  'words',
  'pages',
]
const relations = [
  'books',
  'authors',
  'genres',
  'sales',
  'publishers',
  'profiles',
  'book_genres',
  'nodes',
  'parent_id',
  'same_mood',
]
const keys = ['author_id', 'books_author_id_fkey', 'book_id', 'editor_id', 'book_genres']

/** Names of the library for the most part, and others that carry the mark. */
const words: Words = {
  columns: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...columns, ...keys) },
    fc.constantFrom(mark, `${mark}"; drop table x; --`, `${mark}'`),
  ),
  relations: fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...relations) }, fc.constant(mark)),
  types: fc.oneof({ weight: 8, arbitrary: fc.constantFrom('text', 'int', 'numeric', 'varchar') }, fc.constant(`${mark})`)),
  values: fc.constantFrom('1', '2', '{1,2}', '[1,5)', 'null', `${mark}`, `'${mark}`, `$1${mark}`, `\\${mark}`, '{"a":1}', 'true'),
}

const requestOf = (read: Read, relation: string) =>
  ({
    kind: 'read',
    target: { schema: 'api', name: relation },
    read,
    accept: [{ kind: 'json', nullsStripped: false }],
    acceptNames: ['application/json'],
    profiled: false,
    headOnly: false,
    range: undefined,
    preferences: { count: 'exact', unknown: [] },
  }) as unknown as Parameters<typeof createStatement>[0]

const names = new StatementNames()

const run = (read: Read, relation: string, maxRows: number | undefined) => {
  const statement = createStatement(requestOf(read, relation), {
    catalogue: catalogue(),
    aggregates: true,
    maxRows,
    plans: false,
  })
  for (const { text } of statement.texts) {
    expect(text).not.toContain(mark)
    expect(text).not.toContain('drop')
  }
  return runStatement(statement, {
    pool: pool(),
    names,
    preRequest: undefined,
    rollback: false,
    signal: undefined,
    context: {
      caller: users.service,
      schema: 'api',
      extraSearchPath: ['public'],
      method: 'GET',
      path: '/',
      headers: {},
      timezone: undefined,
      roleSettings: new Map(),
      functionSettings: new Map(),
      appSettings: new Map(),
    },
  })
}

/** What a request may be to blame for: types that do not fit, values that cannot be read, groups that make no sense. */
const blames = /^(22...|42602|42883|42804|42803|42846|42704|42725|42809|42P18|42P08|54001|0A000)$/

const outcome = async (read: Read, relation: string, maxRows?: number) => {
  try {
    return await run(read, relation, maxRows)
  } catch (error) {
    if (isRestError(error)) return undefined
    const state = sqlstateOf(error) ?? String(error)
    const isQuery = state === '42601' && /syntax error in ts(query|vector)/.test(String(error))
    expect(isQuery ? '22000' : state, String(error)).toMatch(blames)
    return undefined
  }
}

describe('any read', () => {
  it('is refused, or one statement that Postgres understands and that holds no text of the caller', async () => {
    const property = fc.asyncProperty(reads(words), fc.constantFrom(...relations.slice(0, 5)), async (read, relation) => {
      await outcome(read, relation, 100)
    })
    await fc.assert(property, propertyRuns(200, 200))
  }, 300_000)

  const some = fc.constantFrom('books', 'authors', 'sales', 'genres', 'nodes', 'book_genres')
  const library = (depth: number, aliases: fc.Arbitrary<string | undefined>) =>
    some.chain((name) =>
      fc.tuple(fc.constant(name), readsOf({ schema: 'api', name }, { catalogue: catalogue(), aliases, depth })),
    )
  const noAlias = fc.constant(undefined)

  it('of names that there are is answered, and has as many rows as are counted without reading them', async () => {
    let answered = 0
    const runs = propertyRuns(150, 300)
    const property = fc.asyncProperty(
      fc.constant(0).chain(() => library(2, noAlias)),
      async ([relation, drawn]) => {
        const read = { ...drawn, limit: undefined, offset: undefined, order: [] }
        const all = await outcome(read, relation)
        if (!all) return
        answered += 1
        expect((await outcome({ ...read, limit: 0 }, relation))?.total).toBe(all.rows)
        expect((await outcome(drawn, relation))?.total).toBe(all.rows)
      },
    )
    await fc.assert(property, runs)
    expect(answered).toBeGreaterThan(runs.numRuns * 0.8)
  }, 300_000)

  it('tells the same under other names', async () => {
    const fresh = fc.integer({ min: 0, max: 99 }).map((number) => `${mark}"'${number}`)
    const property = fc.asyncProperty(
      fc.constant(0).chain(() => library(1, fresh)),
      async ([relation, read]) => {
        const renamed = await outcome(read, relation)
        const plain = await outcome(withoutAliases(read), relation)
        expect(valuesOf(renamed?.body)).toEqual(valuesOf(plain?.body))
      },
    )
    await fc.assert(property, propertyRuns(100, 300))
  }, 300_000)
})

const withoutAliases = (read: Read): Read => ({
  ...read,
  select: read.select.map((item): SelectItem => {
    if (item.kind === 'column') return { ...item, alias: undefined }
    return item.kind === 'embed' ? { ...item, read: withoutAliases(item.read) } : item
  }),
})

/** The values of JSON in their order, without the keys; a parser would drop keys that come twice. */
const valuesOf = (body: unknown): string =>
  String(body)
    .replace(/"(?:[^"\\]|\\.)*" ?: ?/g, '')
    .replace(/\s/g, '')
