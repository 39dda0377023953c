import { connectPostgres } from '../../postgres/connect.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { withoutRowColumn } from '../log-key.js'
import type { Key } from '../row-keys.js'
import type { LoggedKey } from './change-log.js'
import { type LoadedChecks, loadChecks, type TableProgress, writeChecks } from './check-record.js'
import { type CheckSession, CheckSessions } from './check-session.js'
import type { CheckPoint, Checks, ChecksOptions, ChecksStatus, GateReport, TickReport } from './checks.js'
import { countRows, type DifferingRows, type Doubt, Doubts } from './doubts.js'
import { Findings } from './findings.js'
import { TableCheck } from './table-check.js'
import type { Differing, RowName } from './table-comparer.js'
import type { WalkCursor } from './walk-table.js'

const defaultShare = 0.3
/** How long one tick works, about. */
const tickMs = 60
const keysAtOnce = 1000
/** How many batches of keys may wait for their second look: of a mirror that takes a second, in which others come. */
const doubtsAtOnce = { follow: 1, mirror: 64 } as const
/** With so many rows of a table on record its first comparison waits for someone to look at them. */
const mostDifferences = 1000
const lookAgainMs = 5000
const rowsLookedAtAgain = 200
const shownDifferences = 20
/** After a lost connection or a locked file. */
const troublePauseMs = 500

interface KeyDoubt {
  readonly doubt: Doubt
  /** Its rows changed behind this entry of the log. */
  readonly after: bigint
}

interface RangeDoubt {
  readonly doubt: Doubt
  readonly table: TableCheck
  readonly cursor: WalkCursor | null
}

/** A table that was compared as a whole while it was being written, and when to try again. */
interface Retry {
  readonly tries: number
  readonly notBeforeMs: number
}

class LiveChecks implements Checks {
  readonly #options: ChecksOptions
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #sessions: CheckSessions
  readonly #doubts: Doubts
  readonly #findings: Findings
  readonly #tables: ReadonlyMap<string, TableCheck>
  readonly #changed = new Set<TableCheck>()
  readonly #retries = new Map<TableCheck, Retry>()
  #checkedSeq: bigint
  #writtenSeq: bigint
  /** Oldest first. */
  #keyDoubts: KeyDoubt[] = []
  /** Keys up to here were looked at once. */
  #lookedSeq: bigint
  #rangeDoubt: RangeDoubt | undefined
  #lookedAgainAtMs: number
  #notBeforeMs = 0
  #work = { rows: 0, keys: 0 }
  #told = ''

  constructor(options: ChecksOptions, loaded: LoadedChecks) {
    const { id, plan } = options.held.run
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#signal = options.signal ?? new AbortController().signal
    this.#doubts = new Doubts(options.direction, this.#clock)
    this.#findings = new Findings(loaded.differences)
    const progressOf = (name: string): TableProgress | undefined => loaded.tables.get(name)
    // The column of the rowid went with the cutover.
    const tables = options.direction === 'mirror' ? plan.tables.map(withoutRowColumn) : plan.tables
    this.#tables = new Map(
      tables.map((table) => [table.source, new TableCheck(table, id, options.direction, progressOf(table.source))]),
    )
    const links = new Map(Array.from(this.#tables.values(), ({ name, link }) => [name, link] as const))
    this.#sessions = new CheckSessions(options, links)
    this.#checkedSeq = loaded.checkedSeq
    this.#lookedSeq = loaded.checkedSeq
    this.#writtenSeq = loaded.checkedSeq
    this.#lookedAgainAtMs = this.#clock.monotonicMs()
  }

  async tick(point: CheckPoint): Promise<TickReport> {
    this.#signal.throwIfAborted()
    const startedAt = this.#clock.monotonicMs()
    if (startedAt < this.#notBeforeMs) return this.#report(false)
    this.#work = { rows: 0, keys: 0 }
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

  async #piece(session: CheckSession, point: CheckPoint, endMs: number): Promise<boolean> {
    let worked = await this.#checkKeys(session, point, endMs)
    const hasTime = () => this.#clock.monotonicMs() < endMs
    // At least one step, however many keys there were: a busy application must not keep the ranges from being compared.
    for (let isFirst = true; isFirst || hasTime(); isFirst = false) {
      if (!(await this.#checkRange(session, point))) break
      worked = true
    }
    if (this.#clock.monotonicMs() - this.#lookedAgainAtMs < lookAgainMs) return worked
    this.#lookedAgainAtMs = this.#clock.monotonicMs()
    return (await this.#lookAgain(session, rowsLookedAtAgain)) || worked
  }

  // Keys that the log names.

  async #checkKeys(session: CheckSession, point: CheckPoint, endMs: number, isFinal = false): Promise<boolean> {
    const judged = await this.#judgeKeys(session, point, endMs, isFinal)
    if (this.#keyDoubts.length >= doubtsAtOnce[this.#options.direction] || this.#lookedSeq >= point.appliedSeq) return judged > 0
    const { keys, reached } = session.log.next(this.#lookedSeq, point.appliedSeq, keysAtOnce)
    const found = await this.#compareKeys(session, keys)
    const doubt = this.#doubts.raise(session, found, point)
    if (doubt) this.#keyDoubts.push({ doubt, after: this.#lookedSeq })
    this.#lookedSeq = reached
    this.#settleChecked()
    this.#work.keys += keys.length
    return true
  }

  /** Oldest first, up to the first that cannot be judged yet; how many were. */
  async #judgeKeys(session: CheckSession, point: CheckPoint, endMs: number, isFinal: boolean): Promise<number> {
    const doubts = this.#keyDoubts.map(({ doubt }) => doubt)
    if (!isFinal) await this.#doubts.note(session, doubts, point)
    let judged = 0
    for (const doubt of doubts) {
      if (judged > 0 && this.#clock.monotonicMs() >= endMs) break
      const found = isFinal ? await this.#doubts.judgeNow(session, doubt) : await this.#doubts.judge(session, doubt, point)
      if (!found) break
      this.#keep(found)
      this.#keyDoubts.shift()
      this.#settleChecked()
      judged++
    }
    return judged
  }

  #settleChecked(): void {
    this.#checkedSeq = this.#keyDoubts[0]?.after ?? this.#lookedSeq
  }

  async #compareKeys(session: CheckSession, keys: readonly LoggedKey[]): Promise<DifferingRows> {
    const byTable = new Map<TableCheck, Key[]>()
    for (const { table: name, key } of keys) {
      const table = this.#tables.get(name)!
      if (!key) this.#taint(table)
      else byTable.set(table, [...(byTable.get(table) ?? []), key])
    }
    const found = new Map<TableCheck, readonly Differing[]>()
    for (const [table, some] of byTable) {
      const comparer = table.comparer(session)
      const names = new Map<string, RowName>()
      for (const key of some) {
        const texts = comparer.reader.textsOf(key)
        names.set(JSON.stringify(texts ?? key.map(String)), { key, texts })
      }
      found.set(table, await comparer.compare([...names.values()]))
    }
    return found
  }

  /** A row changed that cannot be found on the other side: only a look at the whole table tells. */
  #taint(table: TableCheck): void {
    if (table.dirty) return
    table.dirty = true
    this.#changed.add(table)
  }

  // Ranges: every table once.

  async #checkRange(session: CheckSession, point: CheckPoint): Promise<boolean> {
    if (this.#rangeDoubt) {
      const { doubt, table, cursor } = this.#rangeDoubt
      await this.#doubts.note(session, [doubt], point)
      const found = await this.#doubts.judge(session, doubt, point)
      if (!found) return false
      this.#keep(found)
      this.#rangeDoubt = undefined
      this.#moveOn(table, cursor)
      return true
    }
    const table = this.#nextTable()
    if (!table) return false
    if (!table.link || table.dirty) return this.#compareWhole(session, table, point)
    const walk = table.walk(session)
    const step = await walk.step(table.cursor ?? walk.start)
    table.rowsChecked += step.rows
    this.#work.rows += step.rows
    const found = step.suspects.length > 0 ? await table.comparer(session).compare(step.suspects) : []
    const doubt = this.#doubts.raise(session, new Map([[table, found]]), point)
    if (doubt) this.#rangeDoubt = { doubt, table, cursor: step.cursor }
    else this.#moveOn(table, step.cursor)
    return true
  }

  #nextTable(): TableCheck | undefined {
    const now = this.#clock.monotonicMs()
    const isReady = (table: TableCheck): boolean => {
      if (table.dirty || !table.link) return (table.dirty || !table.done) && now >= (this.#retries.get(table)?.notBeforeMs ?? 0)
      return !table.done && this.#findings.countOf(table.name) < mostDifferences
    }
    for (const table of this.#tables.values()) if (isReady(table)) return table
    return undefined
  }

  #moveOn(table: TableCheck, cursor: WalkCursor | null): void {
    table.cursor = cursor
    table.done = cursor === null
    this.#changed.add(table)
  }

  /**
   * By contents. Alike is alike, at whatever moments the two sides were read. What differs counts only where the table rested meanwhile, and
   * at a second try; of the mirror, which the log does not tell to rest, only when it is final.
   */
  async #compareWhole(session: CheckSession, table: TableCheck, point: CheckPoint, isFinal = false): Promise<boolean> {
    const { rows, isAlike, differences } = await table.compareWhole(session, this.#signal)
    this.#work.rows += rows
    const isResting = this.#options.direction === 'follow' && session.log.inFlight(table.name, point.appliedSeq)?.length === 0
    const tries = isResting ? (this.#retries.get(table)?.tries ?? 0) + 1 : 0
    this.#retries.delete(table)
    if (!isAlike && !isFinal && tries < 2) {
      this.#retries.set(table, { tries, notBeforeMs: this.#clock.monotonicMs() + lookAgainMs * (isResting ? 0.2 : 1) })
      return true
    }
    this.#findings.clear(table.name)
    const shown = differences.map(({ key, state, columns }) => ({ printed: key, state, columns, key: null, texts: undefined }))
    this.#findings.add(table.name, shown, new Date(this.#clock.now()))
    if (!isAlike) this.#retries.set(table, { tries, notBeforeMs: this.#clock.monotonicMs() + lookAgainMs })
    table.dirty = !isAlike
    table.rowsChecked = rows
    this.#moveOn(table, null)
    return true
  }

  // Rows on record.

  #keep(found: DifferingRows): void {
    for (const [table, rows] of found) this.#findings.add(table.name, rows, new Date(this.#clock.now()))
  }

  /** Takes rows that are alike again off the record. */
  async #lookAgain(session: CheckSession, most: number): Promise<boolean> {
    const kept = this.#findings.all.filter(({ table }) => this.#tables.get(table)?.link).slice(0, most)
    for (const table of this.#tables.values()) {
      const some = kept.filter((difference) => difference.table === table.name)
      if (some.length === 0) continue
      const differing = await table.comparer(session).compare(some.map(({ rowKey, texts }) => ({ key: rowKey, texts })))
      const still = new Set(differing.map(({ printed }) => printed))
      this.#findings.settle(some.filter(({ key }) => !still.has(key)))
    }
    return kept.length > 0
  }

  // The gate.

  async gate(point: CheckPoint & { readonly head: bigint }): Promise<GateReport> {
    const startedAt = this.#clock.monotonicMs()
    this.#work = { rows: 0, keys: 0 }
    try {
      const session = await this.#sessions.open()
      while (await this.#checkKeys(session, point, Number.POSITIVE_INFINITY, true)) this.#signal.throwIfAborted()
      for (const table of this.#tables.values()) {
        if (table.dirty || (!table.link && !table.done)) await this.#compareWhole(session, table, point, true)
      }
      await this.#lookAgain(session, Number.MAX_SAFE_INTEGER)
      await this.#write(session)
    } catch (error) {
      throw this.#sessions.explain(error)
    }
    this.#tell()
    const rangesLeft = [...this.#tables.values()].filter(({ done }) => !done).map(({ name }) => name)
    const differenceCount = this.#findings.size
    return {
      ok: rangesLeft.length === 0 && differenceCount === 0 && this.#checkedSeq >= point.head,
      rangesLeft,
      keysChecked: this.#work.keys,
      differenceCount,
      differences: this.#findings.all.slice(0, shownDifferences),
      elapsedMs: this.#clock.monotonicMs() - startedAt,
    }
  }

  async restartTable(name: string): Promise<void> {
    const table = this.#tables.get(name)
    if (!table) return
    table.restart()
    this.#changed.add(table)
    this.#findings.clear(name)
    this.#retries.delete(table)
    if (this.#rangeDoubt?.table === table) this.#rangeDoubt = undefined
    this.#keyDoubts = this.#keyDoubts.map(({ doubt, after }) => ({
      after,
      doubt: { ...doubt, rows: new Map([...doubt.rows].filter(([of]) => of !== table)) },
    }))
    try {
      const session = await this.#sessions.open()
      session.log.refresh()
      await this.#write(session)
    } catch (error) {
      throw this.#sessions.explain(error)
    }
  }

  status(): ChecksStatus {
    const tables = Array.from(this.#tables.values(), ({ name, plan, rowsChecked, done, pass }) => ({
      table: name,
      rows: plan.rows,
      rowsChecked,
      done,
      pass,
    }))
    const doubted = [...this.#keyDoubts, ...(this.#rangeDoubt ? [this.#rangeDoubt] : [])]
    return {
      tables,
      rangesDone: tables.every(({ done }) => done),
      checkedSeq: this.#checkedSeq,
      doubtful: doubted.reduce((sum, { doubt }) => sum + countRows(doubt.rows), 0),
      differences: this.#findings.size,
    }
  }

  close(): Promise<void> {
    return this.#sessions.close()
  }

  // What is written and told.

  async #write({ client }: CheckSession): Promise<void> {
    const isNewer = this.#checkedSeq > this.#writtenSeq
    if (!isNewer && this.#changed.size === 0 && this.#findings.isWritten) return
    const changed = [...this.#changed]
    await writeChecks(client, this.#options.held, {
      checkedSeq: isNewer ? this.#checkedSeq : null,
      tables: new Map(changed.map((table) => [table.name, table.progress])),
      ...this.#findings.unwritten,
    })
    this.#writtenSeq = this.#checkedSeq
    this.#changed.clear()
    this.#findings.written()
  }

  #report(worked: boolean): TickReport {
    const { rangesDone, differences } = this.status()
    return {
      worked,
      pauseMs: Math.max(0, this.#notBeforeMs - this.#clock.monotonicMs()),
      rowsChecked: worked ? this.#work.rows : 0,
      keysChecked: worked ? this.#work.keys : 0,
      checkedSeq: this.#checkedSeq,
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
