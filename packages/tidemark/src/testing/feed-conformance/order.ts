import fc from 'fast-check'
import type pg from 'pg'
import { expect, it } from 'vitest'
import { comparePositions } from '../../feed/position.js'
import type { FeedConformanceOptions } from '../feed/feed-conformance.js'
import { plain } from './collected.js'
import { Replica } from './replica.js'
import type { Scene } from './scene.js'

const inPublic = (...tables: string[]) => tables.map((table) => ({ schema: 'public', table }))

/** One statement on a row of a small table, so that writers meet. */
type Operation = readonly ['upsert' | 'update' | 'delete' | 'move' | 'truncate', number, number]

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom('upsert', 'update', 'delete', 'move'), fc.nat(9), fc.nat(999)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('truncate'), fc.nat(9), fc.nat(999)) },
)
const transaction = fc.record({
  operations: fc.array(operation, { minLength: 1, maxLength: 5 }),
  /** Which of them is undone again. */
  undone: fc.option(fc.nat(4)),
  ending: fc.constantFrom('commit', 'commit', 'commit', 'rollback'),
})
type Transaction = typeof transaction extends fc.Arbitrary<infer T> ? T : never
const history = fc.array(fc.array(transaction, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 })

const statement = ([kind, id, value]: Operation, table: string): string => {
  switch (kind) {
    case 'upsert':
      return `insert into ${table} values (${id}, 'v${value}', repeat('z', ${value * 20})) on conflict (id) do update set text = 'u${value}'`
    case 'update':
      return `update ${table} set text = 'w${value}' where id >= ${id}`
    case 'delete':
      return `delete from ${table} where id = ${id}`
    case 'move':
      return `update ${table} set id = ${value % 10} where id = ${id} and not exists (select from ${table} where id = ${value % 10})`
    case 'truncate':
      return `truncate ${table}`
  }
}

/** Writers get in each other's way: one that Postgres ends as a deadlock or a double key is rolled back, as applications do. */
const write = async (client: pg.Client, { operations, undone, ending }: Transaction, table: string): Promise<void> => {
  await client.query('begin')
  try {
    for (const [index, each] of operations.entries()) {
      const undo = index === undone
      if (undo) await client.query('savepoint undone')
      await client.query(statement(each, table))
      if (undo) await client.query('rollback to undone')
    }
    await client.query(ending)
  } catch {
    await client.query('rollback')
  }
}

/** In which order changes come, and when. */
export const defineOrder = (scene: () => Scene, order: NonNullable<FeedConformanceOptions['order']>): void => {
  it('FEED-1 gives what commits later later, though it began earlier', async () => {
    const { sql, connect, follow } = scene()
    await sql.query('create table early (id int primary key)')
    const [slow, quick] = [await connect(), await connect()]
    const { reading } = await follow(inPublic('early'))
    const ids = () => reading.transactions.map(({ changes }) => changes.map((change) => plain(change).new?.id).join())
    await slow.query('begin; insert into early values (1)')
    await quick.query('insert into early values (2)')
    await reading.until(() => ids().includes('2'), 'The transaction that committed first')
    await slow.query('insert into early values (3); commit')
    await quick.query('insert into early values (4)')
    await reading.until(() => ids().includes('4'), 'The transaction that committed last')
    expect(ids()).toEqual(['2', '1,3', '4'])
  })

  it('FEED-1 keeps the order of many writers, each transaction whole', async () => {
    const { sql, connect, follow } = scene()
    await sql.query(
      'create table counted (id int primary key, n int); insert into counted select g, 0 from generate_series(0, 3) g',
    )
    const { reading } = await follow(inPublic('counted'))
    const writers = await Promise.all([connect(), connect(), connect()])
    const rounds = 60
    await Promise.all(
      writers.map(async (client) => {
        // Both rows in one order, so that none waits for ever.
        for (let n = 0; n < rounds; n++) await client.query(`update counted set n = n + 1 where id in (${n % 4}, 0)`)
      }),
    )
    await reading.until(() => reading.transactions.length >= rounds * writers.length, 'All transactions')
    const seen = new Map<string, number>()
    for (const { changes } of reading.transactions) {
      expect([1, 2]).toContain(changes.length)
      for (const change of changes) {
        const { id, n } = plain(change).new as { id: string; n: string }
        expect(Number(n)).toBe((seen.get(id) ?? 0) + 1)
        seen.set(id, Number(n))
      }
    }
    expect(new Set(reading.transactions.map(({ xid }) => xid)).size).toBe(rounds * writers.length)
    if (order === 'commit') {
      const positions = reading.transactions.map(({ position }) => position)
      for (let index = 1; index < positions.length; index++) {
        expect(comparePositions(positions[index - 1]!, positions[index]!)).toBeLessThan(0)
      }
    }
  })

  it('S1 gives a transaction only once everybody can see it', async () => {
    const { sql, connect, follow } = scene()
    await sql.query('create table visible (id int primary key)')
    const reader = await connect()
    const unseen: string[] = []
    const each = async (event: { type: string; changes?: readonly Parameters<typeof plain>[0][] }) => {
      for (const change of event.changes ?? []) {
        const id = plain(change).new?.id
        const { rowCount } = await reader.query('select from visible where id = $1', [id])
        if (rowCount === 0) unseen.push(String(id))
      }
    }
    const { reading } = await follow(inPublic('visible'), { each })
    for (let id = 0; id < 200; id++) await sql.query('insert into visible values ($1)', [id])
    await reading.until(() => reading.transactions.length === 200, 'All transactions')
    expect(unseen).toEqual([])
  })

  it('S5 proves its freshness only after everything that was committed before', async () => {
    const { sql, connect, follow } = scene()
    await sql.query('create table proven (id int primary key, text text)')
    const other = await connect()
    const { reading } = await follow(inPublic('proven'))
    // One transaction that stays open must not hold the proofs up.
    await other.query(`begin; insert into proven values (-1, 'open')`)
    for (let round = 0; round < 5; round++) {
      await sql.query(`set synchronous_commit = ${round % 2 === 0 ? 'on' : 'off'}`)
      await sql.query(`insert into proven select ${round * 1000} + n, repeat('x', 100) from generate_series(1, 900) n`)
      const committedAt = performance.now()
      await reading.until(() => reading.proofs.some(({ asOf }) => asOf >= committedAt), 'A proof of freshness')
      const proof = reading.events.findIndex((event) => event.type === 'fresh' && event.asOf >= committedAt)
      const before = reading.events.slice(0, proof).filter((event) => event.type === 'transaction')
      expect(before.flatMap(({ changes }) => changes)).toHaveLength(900 * (round + 1))
      expect(reading.proofs.every(({ asOf }) => asOf <= performance.now())).toBe(true)
    }
    await other.query('commit')
    await reading.transaction(({ changes }) => plain(changes[0]!).new?.text === 'open')
  })

  it('gives a transaction of two phases when its second is done', async () => {
    const { sql, follow } = scene()
    const { rows } = await sql.query(`select current_setting('max_prepared_transactions')::int as room`)
    if (rows[0].room === 0) return
    await sql.query('create table prepared (id int primary key)')
    const { reading } = await follow(inPublic('prepared'))
    await sql.query(`begin; insert into prepared values (1); prepare transaction 'conformance'`)
    await sql.query('insert into prepared values (2)')
    await reading.transaction(({ changes }) => plain(changes[0]!).new?.id === '2')
    expect(reading.transactions).toHaveLength(1)
    await sql.query(`commit prepared 'conformance'`)
    await reading.transaction(({ changes }) => plain(changes[0]!).new?.id === '1')
  })

  it('FEED-1 tells enough to make the table again, whatever several writers do', { timeout: 120_000 }, async () => {
    const { sql, connect, follow } = scene()
    await sql.query('create table replayed (id int primary key, text text, filler text); create table ended (id int primary key)')
    await sql.query('alter table replayed alter filler set storage external')
    const { reading } = await follow(inPublic('replayed', 'ended'))
    const clients = await Promise.all([connect(), connect(), connect(), connect()])
    const replica = new Replica('id')
    let applied = 0
    let run = 0
    await fc.assert(
      fc.asyncProperty(history, async (writers) => {
        await Promise.all(
          writers.map(async (transactions, index) => {
            for (const each of transactions) await write(clients[index]!, each, 'replayed')
          }),
        )
        run += 1
        await sql.query('insert into ended values ($1)', [run])
        const isEnd = (id: number) => (given: (typeof reading.transactions)[number]) =>
          given.changes.some((change) => change.relation.table === 'ended' && plain(change).new?.id === String(id))
        await reading.transaction(isEnd(run))
        const until = reading.transactions.findIndex(isEnd(run))
        for (const given of reading.transactions.slice(applied, until)) replica.apply(given)
        applied = until + 1
        const { rows } = await sql.query(`select id::text, text, filler from replayed order by id`)
        expect(replica.sorted).toEqual(rows)
      }),
      { numRuns: 40 },
    )
  })
}
