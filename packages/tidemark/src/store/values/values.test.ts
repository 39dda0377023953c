import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import { describe, expect, it } from 'vitest'
import type { ColumnValue, ColumnValues, StoreKind } from '../store.js'
import { createCoder, encodeLoose } from './column-coder.js'
import { columnsOfPlan } from './plan-columns.js'
import { ValuePlugin } from './value-plugin.js'

interface Note {
  id: number
  done: boolean
  at: Date | null
  data: unknown
  title: string
}
interface Tables {
  note: Note
  tag: { note_id: number; done: boolean; label: string }
}

const columns: ColumnValues = {
  note: { done: 'boolean', at: { kind: 'moment' }, data: 'json' },
  tag: { done: { kind: 'boolean', forms: ['t', 'f'] } },
}

const create = (store: StoreKind) => {
  const plugin = new ValuePlugin(store, () => columns)
  const dialect =
    store === 'sqlite'
      ? {
          createAdapter: () => new SqliteAdapter(),
          createDriver: () => new DummyDriver(),
          createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
          createQueryCompiler: () => new SqliteQueryCompiler(),
        }
      : {
          createAdapter: () => new PostgresAdapter(),
          createDriver: () => new DummyDriver(),
          createIntrospector: (db: Kysely<unknown>) => new PostgresIntrospector(db),
          createQueryCompiler: () => new PostgresQueryCompiler(),
        }
  const db = new Kysely<Tables>({ dialect, plugins: [plugin] })
  const decode = async (query: { compile(): CompiledQuery }, row: Record<string, unknown>) => {
    const compiled = query.compile()
    const result = await plugin.transformResult({ queryId: compiled.queryId, result: { rows: [row] } })
    return result.rows[0]
  }
  return { db, decode }
}

const at = new Date('2026-01-02T03:04:05.678Z')

describe('parameters', () => {
  const { db } = create('sqlite')
  const { db: postgres } = create('postgres')
  const parametersOf = (query: { compile(): CompiledQuery }) => [...query.compile().parameters]

  it('are written as the column has them, in VALUES', () => {
    const values = { id: 3_000_000_000, done: true, at, data: ['a', { b: 1 }], title: 'x' }
    expect(parametersOf(db.insertInto('note').values([values, { ...values, done: false, at: null }]))).toEqual([
      3_000_000_000n,
      1,
      '2026-01-02 03:04:05.678',
      '["a",{"b":1}]',
      'x',
      3_000_000_000n,
      0,
      null,
      '["a",{"b":1}]',
      'x',
    ])
    expect(parametersOf(postgres.insertInto('note').values(values))).toEqual([
      3_000_000_000,
      true,
      '2026-01-02T03:04:05.678Z',
      '["a",{"b":1}]',
      'x',
    ])
    expect(parametersOf(db.insertInto('tag').values({ note_id: 1, done: false, label: 'l' }))).toEqual([1, 'f', 'l'])
  })

  it('in VALUES with expressions among them', () => {
    const query = db
      .insertInto('note')
      .values({ id: sql<number>`1 + ${2}`, done: true, at: sql<Date>`now()`, data: 'text', title: 'x' })
    expect(parametersOf(query)).toEqual([2, 1, '"text"', 'x'])
  })

  it('in SET, in ON CONFLICT and in comparisons, on either side and in lists', () => {
    expect(
      parametersOf(db.updateTable('tag').set({ done: true }).where('done', '=', false).where('note_id', 'in', [1, 2])),
    ).toEqual(['t', 'f', 1, 2])
    expect(parametersOf(db.selectFrom('tag').selectAll().where('done', 'in', [true, false]))).toEqual(['t', 'f'])
    expect(
      parametersOf(
        db
          .selectFrom('note')
          .selectAll()
          .where((eb) => eb.between('at', at, at)),
      ),
    ).toEqual(['2026-01-02 03:04:05.678', '2026-01-02 03:04:05.678'])
    const upsert = db
      .insertInto('tag')
      .values({ note_id: 1, done: true, label: 'l' })
      .onConflict((conflict) => conflict.column('note_id').doUpdateSet({ done: false }))
    expect(parametersOf(upsert)).toEqual([1, 't', 'l', 'f'])
  })

  it('through aliases, joins, subqueries and WITH, each by its own table', () => {
    const query = db
      .with('late', (inner) => inner.selectFrom('tag').selectAll().where('done', '=', true))
      .selectFrom('note as n')
      .innerJoin('late as l', 'l.note_id', 'n.id')
      .selectAll('n')
      .where('n.done', '=', true)
      .where('l.done', '=', false)
      .where((eb) =>
        eb.exists(eb.selectFrom('tag').select('label').where('tag.done', '=', true).whereRef('note_id', '=', 'n.id')),
      )
    expect(parametersOf(query)).toEqual(['t', 1, 'f', 't'])
  })

  it('by what they are where no column is known', () => {
    expect(parametersOf({ compile: () => sql`SELECT ${true}, ${at}, ${{ a: 1 }}, ${5n}`.compile(db) })).toEqual([
      1,
      '2026-01-02 03:04:05.678',
      '{"a":1}',
      5n,
    ])
    expect(parametersOf({ compile: () => sql`SELECT ${true}, ${at}, ${5n}`.compile(postgres) })).toEqual([
      true,
      '2026-01-02T03:04:05.678Z',
      '5',
    ])
    expect(encodeLoose(Buffer.from('x'), 'sqlite')).toEqual(Buffer.from('x'))
    expect([1.5, -0, 2 ** 60].map((value) => encodeLoose(value, 'sqlite'))).toEqual([1.5, -0, 2 ** 60])
  })
})

describe('results', () => {
  const { db, decode } = create('sqlite')

  it('are read by the columns that they come from', async () => {
    const row = { id: 1, done: 1, at: '2026-01-02 03:04:05.678', data: '{"a":[1]}', title: '1' }
    const expected = { id: 1, done: true, at, data: { a: [1] }, title: '1' }
    expect(await decode(db.selectFrom('note').selectAll(), row)).toEqual(expected)
    expect(await decode(db.insertInto('note').values(expected).returningAll(), row)).toEqual(expected)
    expect(await decode(db.deleteFrom('note').returning(['done', 'id']), { done: 0, id: 1 })).toEqual({ done: false, id: 1 })
  })

  it('under their aliases, out of joins, functions, subqueries and WITH', async () => {
    const query = db
      .with('w', (inner) => inner.selectFrom('tag').select(['note_id', 'done as ready']))
      .selectFrom('note')
      .innerJoin('w', 'w.note_id', 'note.id')
      .innerJoin(
        (eb) =>
          eb
            .selectFrom('note')
            .select((e) => ['id', e.fn.max('at').as('latest')])
            .as('s'),
        (join) => join.onRef('s.id', '=', 'note.id'),
      )
      .select((eb) => [
        'note.done as is_done',
        'w.ready',
        's.latest',
        eb.fn.coalesce('note.at', sql<Date>`now()`).as('some'),
        eb.fn.countAll().as('n'),
        eb.selectFrom('tag').select('tag.done').limit(1).as('sub'),
      ])
    const text = '2026-01-02 03:04:05.678'
    expect(await decode(query, { is_done: 1, ready: 'f', latest: text, some: text, n: 1, sub: 't' })).toEqual({
      is_done: true,
      ready: false,
      latest: at,
      some: at,
      n: 1,
      sub: true,
    })
  })

  it('stay as they are where no column is known, and where they are not what the column says', async () => {
    expect(await decode(db.selectFrom('note').select('title'), { title: '1' })).toEqual({ title: '1' })
    expect(await decode(db.selectFrom('note').selectAll(), { done: 'maybe', at: 'soon', data: null })).toEqual({
      done: 'maybe',
      at: 'soon',
      data: null,
    })
  })
})

describe('a column', () => {
  const there = (column: ColumnValue, value: unknown) => {
    const [file, server] = [createCoder(column, 'sqlite'), createCoder(column, 'postgres')]
    return { file: file.encode(value), back: file.decode(file.encode(value)), server: server.encode(value) }
  }

  it('of moments is written in its format, and read from any', () => {
    const zoned = { kind: 'moment', format: { separator: 'T', seconds: true, fraction: 3, zone: 'Z' } } as const
    expect(there(zoned, at)).toEqual({ file: '2026-01-02T03:04:05.678Z', back: at, server: '2026-01-02T03:04:05.678Z' })
    const local = { kind: 'moment', timeZone: 'Australia/Darwin', naive: true } as const
    expect(there(local, at)).toEqual({ file: '2026-01-02 12:34:05.678', back: at, server: '2026-01-02 12:34:05.678' })
    expect(createCoder(local, 'postgres').decode('2026-01-02 12:34:05.678')).toEqual(at)
    expect(there({ kind: 'moment', format: 'seconds' }, at)).toMatchObject({
      file: 1767323045n,
      back: new Date('2026-01-02T03:04:05Z'),
    })
    expect(there({ kind: 'moment', format: 'microseconds' }, at)).toMatchObject({ file: 1767323045678000n, back: at })
    expect(createCoder(zoned, 'sqlite').decode('2026-01-02 13:04:05.678+1000')).toEqual(at)
    expect(createCoder(zoned, 'postgres').decode('2026-01-02T03:04:05.678Z')).toEqual(at)
    expect(createCoder(zoned, 'postgres').decode('infinity')).toBe('infinity')
  })

  it('of big numbers, decimals, dates and uuids looks the same from both', () => {
    expect(createCoder({ kind: 'bigint' }, 'sqlite').decode(5)).toBe(5n)
    expect(createCoder({ kind: 'bigint' }, 'postgres').decode('9007199254740993')).toBe(9007199254740993n)
    expect([1.5, '1.50', '10', 10].map((value) => createCoder({ kind: 'decimal' }, 'postgres').decode(value))).toEqual([
      '1.5',
      '1.5',
      '10',
      '10',
    ])
    expect(there({ kind: 'date' }, at)).toEqual({ file: '2026-01-02', back: '2026-01-02', server: '2026-01-02' })
    const uuid = '0189a1b2-c3d4-7000-8000-00112233aabb'
    expect(there({ kind: 'uuid', dashless: true }, uuid)).toEqual({ file: uuid.replaceAll('-', ''), back: uuid, server: uuid })
  })

  it('is what the plan of a move says', () => {
    const column = (source: string, conversion: object, targetType = 'text') => ({
      source,
      target: source,
      conversion,
      targetType,
    })
    const plan = {
      tables: [
        {
          source: 't',
          columns: [
            column('b', { kind: 'boolean', truthy: ['yes'], falsy: ['no'] }),
            column('n', { kind: 'boolean', truthy: ['1', 'true'], falsy: ['0'] }),
            column('e', { kind: 'epoch', unit: 'seconds' }, 'timestamp with time zone'),
            column('z', { kind: 'timestamptz', format: null, timeZone: 'Europe/Berlin' }),
            column('w', { kind: 'timestamp', format: null }),
            column('j', { kind: 'jsonb' }),
            column('d', { kind: 'date' }),
            column('u', { kind: 'uuid', form: 'mapped' }),
            column('v', { kind: 'uuid', form: 'dashless' }),
            column('x', { kind: 'text' }),
          ],
        },
      ],
    }
    expect(columnsOfPlan(plan as never)).toEqual({
      t: {
        b: { kind: 'boolean', forms: ['yes', 'no'] },
        n: { kind: 'boolean', forms: [1, 0] },
        e: { kind: 'moment', format: 'seconds', naive: false },
        z: { kind: 'moment', format: null, timeZone: 'Europe/Berlin' },
        w: { kind: 'moment', format: null, naive: true },
        j: { kind: 'json' },
        d: { kind: 'date' },
        v: { kind: 'uuid', dashless: true },
      },
    })
  })
})
