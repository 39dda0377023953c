import { connectPostgres } from '../../postgres/driver/connect.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { withoutRowColumn } from '../log-key.js'
import type { CheckParts } from './check-parts.js'
import { type LoadedChecks, loadChecks, writeChecks } from './check-record.js'
import { type CheckSession, CheckSessions } from './check-session.js'
import type { CheckPoint, Checks, ChecksOptions, ChecksStatus, GateReport, TickReport } from './checks.js'
import { Doubts } from './doubts.js'
import { Findings } from './findings.js'
import { KeyChecks } from './key-checks.js'
import { RangeChecks } from './range-checks.js'
import { TableCheck } from './table-check.js'

const defaultShare = 0.3
/** How long one tick works, about. */
const tickMs = 60
const lookAgainMs = 5000
const rowsLookedAtAgain = 200
const shownDifferences = 20
/** After a lost connection or a locked file. */
const troublePauseMs = 500

/** The tables of the run, each where its record says it stands. */
const tablesOf = ({ held, direction }: ChecksOptions, loaded: LoadedChecks): ReadonlyMap<string, TableCheck> => {
  const { id, plan } = held.run
  // The column of the rowid went with the cutover.
  const tables = direction === 'mirror' ? plan.tables.map(withoutRowColumn) : plan.tables
  return new Map(tables.map((table) => [table.source, new TableCheck(table, id, direction, loaded.tables.get(table.source))]))
}

class LiveChecks implements Checks {
  readonly #options: ChecksOptions
  readonly #clock: Clock
  readonly #sessions: CheckSessions
  readonly #parts: CheckParts
  readonly #keys: KeyChecks
  readonly #ranges: RangeChecks
  #writtenSeq: bigint
  #lookedAgainAtMs: number
  #notBeforeMs = 0
  #told = ''

  constructor(options: ChecksOptions, loaded: LoadedChecks) {
    const { direction, clock = systemClock, signal = new AbortController().signal } = options
    const tables = tablesOf(options, loaded)
    this.#options = options
    this.#clock = clock
    this.#sessions = new CheckSessions(options, new Map(Array.from(tables.values(), ({ name, link }) => [name, link] as const)))
    this.#parts = {
      direction,
      tables,
      changed: new Set(),
      doubts: new Doubts(direction, clock),
      findings: new Findings(loaded.differences),
      clock,
      signal,
      work: { rows: 0, keys: 0 },
    }
    this.#keys = new KeyChecks(this.#parts, loaded.checkedSeq)
    this.#ranges = new RangeChecks(this.#parts)
    this.#writtenSeq = loaded.checkedSeq
    this.#lookedAgainAtMs = clock.monotonicMs()
  }

  async tick(point: CheckPoint): Promise<TickReport> {
    this.#parts.signal.throwIfAborted()
    const startedAt = this.#clock.monotonicMs()
    if (startedAt < this.#notBeforeMs) return this.#report(false)
    this.#begin()
    let worked = false
    try {
      const session = await this.#sessions.open()
      worked = await this.#piece(session, point, startedAt + tickMs)
      await this.#write(session)
    } catch (error) {
      if (!(await this.#sessions.survives(error))) throw this.#sessions.explain(error)
      this.#notBeforeMs = this.#clock.monotonicMs() + troublePauseMs
      return this.#report(false)
    }
    const now = this.#clock.monotonicMs()
    const { share = defaultShare } = this.#options
    this.#notBeforeMs = now + ((now - startedAt) * (1 - share)) / share
    this.#tell()
    return this.#report(worked)
  }

  async gate(point: CheckPoint & { readonly head: bigint }): Promise<GateReport> {
    const { tables, findings, signal, work } = this.#parts
    const startedAt = this.#clock.monotonicMs()
    this.#begin()
    try {
      const session = await this.#sessions.open()
      while (await this.#keys.check(session, point, Number.POSITIVE_INFINITY, true)) signal.throwIfAborted()
      for (const table of tables.values()) {
        if (table.dirty || (!table.link && !table.done)) await this.#ranges.compareWhole(session, table, point, true)
      }
      await this.#lookAgain(session, Number.MAX_SAFE_INTEGER)
      await this.#write(session)
    } catch (error) {
      throw this.#sessions.explain(error)
    }
    this.#tell()
    const rangesLeft = [...tables.values()].filter(({ done }) => !done).map(({ name }) => name)
    const differenceCount = findings.size
    return {
      ok: rangesLeft.length === 0 && differenceCount === 0 && this.#keys.checkedSeq >= point.head,
      rangesLeft,
      keysChecked: work.keys,
      differenceCount,
      differences: findings.all.slice(0, shownDifferences),
      elapsedMs: this.#clock.monotonicMs() - startedAt,
    }
  }

  async restartTable(name: string): Promise<void> {
    const { tables, changed, findings } = this.#parts
    const table = tables.get(name)
    if (!table) return
    table.restart()
    changed.add(table)
    findings.clear(name)
    this.#ranges.forget(table)
    this.#keys.forget(table)
    try {
      const session = await this.#sessions.open()
      session.log.refresh()
      await this.#write(session)
    } catch (error) {
      throw this.#sessions.explain(error)
    }
  }

  status(): ChecksStatus {
    const { tables: all, findings } = this.#parts
    const tables = Array.from(all.values(), ({ name, plan, rowsChecked, done, pass }) => ({
      table: name,
      rows: plan.rows,
      rowsChecked,
      done,
      pass,
    }))
    return {
      tables,
      rangesDone: tables.every(({ done }) => done),
      checkedSeq: this.#keys.checkedSeq,
      doubtful: this.#keys.doubtful + this.#ranges.doubtful,
      differences: findings.size,
    }
  }

  close(): Promise<void> {
    return this.#sessions.close()
  }

  #begin(): void {
    Object.assign(this.#parts.work, { rows: 0, keys: 0 })
  }

  async #piece(session: CheckSession, point: CheckPoint, endMs: number): Promise<boolean> {
    let worked = await this.#keys.check(session, point, endMs)
    const hasTime = () => this.#clock.monotonicMs() < endMs
    // At least one step, however many keys there were: a busy application must not keep the ranges from being compared.
    for (let isFirst = true; isFirst || hasTime(); isFirst = false) {
      if (!(await this.#ranges.check(session, point))) break
      worked = true
    }
    if (this.#clock.monotonicMs() - this.#lookedAgainAtMs < lookAgainMs) return worked
    this.#lookedAgainAtMs = this.#clock.monotonicMs()
    return (await this.#lookAgain(session, rowsLookedAtAgain)) || worked
  }

  /** Takes rows that are alike again off the record. */
  async #lookAgain(session: CheckSession, most: number): Promise<boolean> {
    const { tables, findings } = this.#parts
    const kept = findings.all.filter(({ table }) => tables.get(table)?.link).slice(0, most)
    for (const table of tables.values()) {
      const some = kept.filter((difference) => difference.table === table.name)
      if (some.length === 0) continue
      const differing = await table.comparer(session).compare(some.map(({ rowKey, texts }) => ({ key: rowKey, texts })))
      const still = new Set(differing.map(({ printed }) => printed))
      findings.settle(some.filter(({ key }) => !still.has(key)))
    }
    return kept.length > 0
  }

  async #write({ client }: CheckSession): Promise<void> {
    const { changed, findings } = this.#parts
    const { checkedSeq } = this.#keys
    const isNewer = checkedSeq > this.#writtenSeq
    if (!isNewer && changed.size === 0 && findings.isWritten) return
    await writeChecks(client, this.#options.held, {
      checkedSeq: isNewer ? checkedSeq : null,
      tables: new Map(Array.from(changed, (table) => [table.name, table.progress])),
      ...findings.unwritten,
    })
    this.#writtenSeq = checkedSeq
    changed.clear()
    findings.written()
  }

  #report(worked: boolean): TickReport {
    const { rangesDone, differences, checkedSeq } = this.status()
    const { rows, keys } = this.#parts.work
    return {
      worked,
      pauseMs: Math.max(0, this.#notBeforeMs - this.#clock.monotonicMs()),
      rowsChecked: worked ? rows : 0,
      keysChecked: worked ? keys : 0,
      checkedSeq,
      differences,
      rangesDone,
    }
  }

  #tell(): void {
    const { tables, rangesDone: done, differences } = this.status()
    const rowsTotal = tables.reduce((sum, { rows, rowsChecked }) => sum + Math.max(rows, rowsChecked), 0)
    const rowsDone = tables.reduce(
      (sum, table) => sum + (table.done ? Math.max(table.rows, table.rowsChecked) : table.rowsChecked),
      0,
    )
    const news = `${rowsDone} ${differences} ${done}`
    if (news === this.#told) return
    this.#told = news
    this.#options.onEvent?.({ type: 'check', rowsDone, rowsTotal, differences, done })
  }
}

/**
 * Goes on with the checks of a run where its record says they stand. Raises TM_POSTGRES_* and TM_SQLITE_* where a side cannot be reached now;
 * later the checks wait for it.
 */
export const openChecks = async (options: ChecksOptions): Promise<Checks> => {
  const { share = defaultShare } = options
  if (!(share > 0 && share <= 1)) throw new RangeError('share is a part of the time, above 0 up to 1')
  const client = await connectPostgres({ ...options.target, name: 'move-checks' })
  try {
    return new LiveChecks(options, await loadChecks(client, options.held.run.id))
  } finally {
    await client.end()
  }
}
