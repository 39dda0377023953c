import type { Change, Relation } from '../../feed/feed.js'
import { formatLsn } from '../../feed/position.js'
import { isVisible, parseSnapshot } from '../../feed/sources/wal/snapshot.js'
import type { Client } from '../../postgres/postgres.js'
import type { CachePool } from '../cache.js'
import type { ModelClock, Step } from './model-clock.js'

/** What stands in the log of a committed transaction. */
export interface Logged {
  readonly xid: bigint
  /** Of its commit record. */
  readonly startLsn: bigint
  readonly endLsn: bigint
  readonly changes: readonly Change[]
}

interface Transaction {
  xid: bigint | undefined
  readonly changes: Change[]
  readonly rows: Map<string, number>
  readonly locks: string[]
  ended: () => void
}

type Rows = readonly Readonly<Record<string, unknown>>[]
type Answer = Rows | Promise<Rows>
type Statement = (values: readonly unknown[], tx: Transaction) => Answer

const relationOf = (schema: string, table: string, names: readonly string[], identity: Relation['identity']): Relation => ({
  oid: 1,
  schema,
  table,
  identity,
  columns: names.map((name, i) => ({ name, typeOid: 25, typeModifier: -1, isKey: identity === 'full' || i === 0 })),
})

const items = relationOf('public', 'items', ['id', 'n'], 'full')
const intents = relationOf('tidemark', 'cache_intents', ['id', 'node', 'touches'], 'default')
const ends = relationOf('tidemark', 'cache_ends', ['intent'], 'default')
const nodes = relationOf('tidemark', 'cache_nodes', ['node', 'lease_until'], 'full')

/**
 * Postgres as far as the cache asks it, in one process: transactions with ids and row locks, commits that stand in the log before they are
 * visible, snapshots, and a standby that replays the log at its own pace. One table, `items`: id and a number that each update counts up.
 */
export class ModelPostgres {
  readonly log: Logged[] = []
  readonly #step: Step
  readonly #clock: ModelClock
  readonly #numbers = new Map<string, number>()
  readonly #intents = new Map<string, readonly string[]>()
  readonly #ends = new Set<string>()
  readonly #nodes = new Map<string, number>()
  readonly #running = new Set<bigint>()
  readonly #locks = new Map<string, Promise<void>>()
  readonly #listeners = new Set<() => void>()
  #nextXid = 100n
  #endLsn = 1_000n
  #replayed = 0

  constructor(step: Step, clock: ModelClock) {
    this.#step = step
    this.#clock = clock
  }

  /** All commits before it are in the log. */
  get flushLsn(): bigint {
    return this.#endLsn
  }

  numberOf(id: string): number {
    return this.#numbers.get(id) ?? 0
  }

  isVisible(xid: bigint): boolean {
    return isVisible(xid, parseSnapshot(this.#snapshot()))
  }

  /** Resolves once it holds; looked at whenever something was logged or became visible. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#listeners.add(resolve))
  }

  /** The standby replays one more commit, where there is one. */
  replay(): void {
    this.#replayed = Math.min(this.log.length, this.#replayed + 1)
  }

  /** `standby`: loads are answered by it. */
  pool(standby = false): CachePool {
    const answerTo = async (tx: Transaction | null, text: string, values: readonly unknown[]): Promise<Rows> => {
      const rows = standby && tx === null ? this.#onStandby(text, values) : undefined
      return rows ?? (tx ? this.#statement(text, values, tx) : this.#alone(text, values))
    }
    const asText = (value: unknown) => (value === null || typeof value === 'string' ? value : String(value).slice(0, 1))
    const client = (tx: Transaction | null): Pick<Client, 'query' | 'queryBehind'> => ({
      query: async (text, values = []) => {
        await this.#step(`sends ${text.trim().slice(0, 40)}`)
        const answer = await answerTo(tx, text, values)
        await this.#step('is answered')
        return { rows: answer as never[], rowCount: answer.length, command: '', fields: [] }
      },
      queryBehind: async (ahead, text, values = []) => {
        await this.#step(`sends ${ahead.text.trim().slice(0, 40)} and ${text.trim().slice(0, 40)}`)
        const first = await answerTo(tx, ahead.text, [])
        await this.#step('comes to the statement behind')
        const answer = await answerTo(tx, text, values)
        await this.#step('is answered')
        ahead.answered({ rows: first.map((row) => Object.values(row).map(asText)), tag: '' })
        return { rows: answer as never[], rowCount: answer.length, command: '', fields: [] }
      },
    })
    const pool: Pick<CachePool, 'query' | 'withClient' | 'transaction'> = {
      query: (text: string, values?: readonly unknown[]) => client(null).query(text, values) as never,
      withClient: (fn) => fn(client(null) as never),
      transaction: async (fn) => {
        const tx = this.#begin()
        try {
          const result = await fn(client(tx) as never)
          await this.#step('sends commit')
          await this.#commit(tx)
          await this.#step('is told of the commit')
          return result
        } catch (error) {
          this.#end(tx)
          throw error
        }
      },
    }
    return pool
  }

  #begin(): Transaction {
    return { xid: undefined, changes: [], rows: new Map(), locks: [], ended: () => undefined }
  }

  async #alone(text: string, values: readonly unknown[]): Promise<Rows> {
    const tx = this.#begin()
    try {
      const rows = await this.#statement(text, values, tx)
      await this.#commit(tx)
      return rows
    } catch (error) {
      this.#end(tx)
      throw error
    }
  }

  async #commit(tx: Transaction): Promise<void> {
    if (tx.xid !== undefined) {
      this.log.push({ xid: tx.xid, startLsn: this.#endLsn, endLsn: this.#endLsn + 40n, changes: tx.changes })
      // What else is written comes in between.
      this.#endLsn += 40n
      this.#tell()
      await this.#step('a commit that is logged becomes visible')
      for (const [id, n] of tx.rows) this.#numbers.set(id, n)
    }
    this.#end(tx)
  }

  #end(tx: Transaction): void {
    if (tx.xid !== undefined) this.#running.delete(tx.xid)
    for (const name of tx.locks.splice(0)) this.#locks.delete(name)
    tx.ended()
    this.#tell()
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) {
      this.#listeners.delete(listener)
      listener()
    }
  }

  #write(tx: Transaction, change: Change): void {
    if (tx.xid === undefined) {
      tx.xid = this.#nextXid++
      this.#running.add(tx.xid)
    }
    tx.changes.push(change)
  }

  /** One transaction after the other. */
  async #lock(tx: Transaction, name: string): Promise<void> {
    if (tx.locks.includes(name)) return
    for (let held = this.#locks.get(name); held; held = this.#locks.get(name)) await held
    const before = tx.ended
    this.#locks.set(
      name,
      new Promise((resolve) => {
        tx.ended = () => {
          before()
          resolve()
        }
      }),
    )
    tx.locks.push(name)
  }

  #snapshot(): string {
    const running = [...this.#running].sort((a, b) => (a < b ? -1 : 1))
    return `${running[0] ?? this.#nextXid}:${this.#nextXid}:${running.join(',')}`
  }

  #onStandby(text: string, values: readonly unknown[]): Rows | undefined {
    const replayed = this.log.slice(0, this.#replayed)
    if (text.includes('pg_current_snapshot')) {
      const known = replayed.map(({ xid }) => xid)
      const next = known.reduce((most, xid) => (xid >= most ? xid + 1n : most), 100n)
      const running = [...this.#running, ...this.log.slice(this.#replayed).map(({ xid }) => xid)].filter((xid) => xid < next)
      const oldest = running.reduce((least, xid) => (xid < least ? xid : least), next)
      // It does not tell who runs.
      return [
        {
          snapshot: `${oldest}:${next}:`,
          standby: true,
          hasWritten: false,
          replayed: formatLsn(replayed.at(-1)?.endLsn ?? 1_000n),
        },
      ]
    }
    if (!text.startsWith('select n from items')) return undefined
    const last = replayed
      .flatMap(({ changes }) => changes)
      .findLast(({ relation, new: row }) => relation === items && row?.[0] === String(values[0]))
    return [{ n: Number(last?.new?.[1] ?? 0) }]
  }

  #statement(text: string, values: readonly unknown[], tx: Transaction): Answer {
    const found = Object.entries(this.#statements).find(([start]) => text.trim().startsWith(start))
    if (!found) throw new Error(`this Postgres does not know: ${text}`)
    return found[1](values, tx)
  }

  readonly #statements: Readonly<Record<string, Statement>> = {
    'select n from items': ([id], tx) => [{ n: tx.rows.get(String(id)) ?? this.numberOf(String(id)) }],
    'update items': async ([given], tx) => {
      const id = String(given)
      await this.#lock(tx, `items ${id}`)
      const before = tx.rows.get(id) ?? this.numberOf(id)
      tx.rows.set(id, before + 1)
      this.#write(tx, { kind: 'update', relation: items, old: [id, String(before)], new: [id, String(before + 1)] })
      return [{ n: before + 1 }]
    },
    'select pg_current_snapshot()': (_none, tx) => [
      { snapshot: this.#snapshot(), standby: false, hasWritten: tx.xid !== undefined, replayed: null },
    ],
    'select pg_current_xact_id_if_assigned()': (_none, tx) => [{ xid: tx.xid === undefined ? null : String(tx.xid) }],
    'select case when current_setting': () => [{ lsn: formatLsn(this.#endLsn) }],
    'with made as (insert into tidemark.cache_intents': ([id, node, touches], tx) => {
      const names = touches as readonly string[]
      this.#write(tx, { kind: 'insert', relation: intents, old: null, new: [String(id), String(node), `{${names.join(',')}}`] })
      this.#intents.set(String(id), names)
      const live = [...this.#nodes].filter(([, untilMs]) => untilMs > this.#clock.now())
      return [{ nodes: live.map(([name]) => name) }]
    },
    'insert into tidemark.cache_ends': async ([given], tx) => {
      const id = String(given)
      await this.#lock(tx, `ends ${id}`)
      if (this.#ends.has(id)) return []
      this.#ends.add(id)
      this.#write(tx, { kind: 'insert', relation: ends, old: null, new: [id] })
      return []
    },
    'select id, touches from tidemark.cache_intents': () =>
      [...this.#intents].filter(([id]) => !this.#ends.has(id)).map(([id, touches]) => ({ id, touches })),
    'lock table tidemark.cache_intents': () => [],
    'insert into tidemark.cache_nodes': ([node, leaseMs], tx) => this.#lease(tx, String(node), Number(leaseMs)),
    'update tidemark.cache_nodes set lease_until = clock_timestamp()': ([node, leaseMs, least], tx) =>
      (this.#nodes.get(String(node)) ?? 0) > this.#clock.now() + Number(least)
        ? this.#lease(tx, String(node), Number(leaseMs))
        : [],
    'update tidemark.cache_nodes set lease_until = least': ([given, ms], tx) =>
      (given as readonly string[]).flatMap((node) => {
        const left = (this.#nodes.get(node) ?? 0) - this.#clock.now()
        return this.#lease(tx, node, Math.min(left, Number(ms)))
      }),
    'delete from tidemark.cache_nodes': ([node]) => {
      this.#nodes.delete(String(node))
      return []
    },
  }

  #lease(tx: Transaction, node: string, ms: number): Rows {
    const untilMs = this.#clock.now() + ms
    const row = [node, new Date(untilMs).toISOString()]
    this.#write(tx, { kind: 'update', relation: nodes, old: [node, undefined], new: row })
    this.#nodes.set(node, untilMs)
    return [{}]
  }
}
