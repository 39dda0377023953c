/**
 * The second database (C61): it gets every row of the agents' tables, in order, and while it is away they wait in the spool of the first. What is
 * written here never waits for it for long, and never fails because of it.
 */
import { createBreaker, isTidemarkError, type Logger, type Pool, type Signals } from 'tidemark'
import type { Db } from '../repository/rows.js'
import type { SpoolEntry } from '../repository/tables.js'
import type { SecondaryStatus } from '../routes/answers.js'
import { backlogOf, lockSpool, nextEntries, removeEntries, runsOf, switchSpool } from './spool.js'

export type { SecondaryStatus } from '../routes/answers.js'

export interface SecondaryOptions {
  /** The first database, which keeps the spool. */
  readonly primary: Pool
  /** The second one, under a login that owns the agents' tables there. */
  readonly secondary: Pool
  readonly log: Logger
  readonly signals: Signals
  /** How long a write waits to be there as well. Default 500. */
  readonly settleMs?: number
  /** How often what waits is tried again. Default 1,000. */
  readonly everyMs?: number
}

export interface Secondary {
  /** Begins; from the first time on it gets also what was there before. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Whether everything that was committed before is there as well, within its time. */
  settle(): Promise<boolean>
  status(): Promise<SecondaryStatus>
}

/** In the order in which they were spooled. */
const batchSize = 200
const statementTimeoutMs = 5_000

const names = ['agent_instances', 'agent_executions', 'agent_metrics', 'system_health'] as const
type Name = (typeof names)[number]

/** The columns that both have: one that only one of them knows yet keeps its default, or is left out. */
const columnsSql = `
  select a.attname as name, format('%I', a.attname) as quoted from pg_attribute a
   where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''`

const keys: Readonly<Record<Name, string>> = {
  agent_instances: 'id',
  agent_executions: 'id',
  agent_metrics: 'id, period_start',
  system_health: 'id',
}

/** Writes rows as they were, in their order. Names are those of the catalogue. */
const upsertSql = (table: Name, columns: readonly string[]): string => {
  const list = columns.join(', ')
  return `insert into public.${table} (${list}) select ${list} from jsonb_populate_recordset(null::public.${table}, $1::jsonb)
    on conflict (${keys[table]}) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`
}

export const createSecondary = (options: SecondaryOptions): Secondary => {
  const { primary, secondary, log, signals, settleMs = 500, everyMs = 1_000 } = options
  const breaker = createBreaker({
    service: 'secondary database',
    failureThreshold: 1,
    windowMs: 60_000,
    recoveryTimeoutMs: everyMs,
    maxRecoveryTimeoutMs: 15_000,
    jitter: 0,
    successesToClose: 1,
    // Also a table that is missing there, or a grant: whatever it is, rows wait and somebody has to look.
    isFailure: () => true,
    log,
  })
  const stopping = new AbortController()
  let lastError: string | null = null
  let isAway = false
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let again: Promise<void> | undefined

  const tell = (away: boolean, message: string): void => {
    if (away === isAway) return
    isAway = away
    signals.raise({ name: away ? 'secondary.down' : 'secondary.up', subject: 'secondary database', message })
  }

  /** Until something fails: a column may have come or gone there. */
  const upserts = new Map<Name, string>()

  const upsertOf = async (db: Db, table: Name): Promise<string> => {
    const known = upserts.get(table)
    if (known !== undefined) return known
    const { rows } = await db.query<{ quoted: string }>(columnsSql, [`public.${table}`])
    const sql = upsertSql(
      table,
      rows.map(({ quoted }) => quoted),
    )
    upserts.set(table, sql)
    return sql
  }

  /** All of it in one transaction; the guards of the tables there let pass what has happened. */
  const apply = (entries: readonly SpoolEntry[]): Promise<void> =>
    secondary.transaction(
      async (db) => {
        for (const { table: name, isGone, ids, rows } of runsOf(entries)) {
          const table = names.find((known) => known === name)
          if (table === undefined) continue
          if (isGone) await db.query(`delete from public.${table} where id = any ($1::uuid[])`, [ids])
          else await db.query(await upsertOf(db, table), [`[${rows.join(',')}]`])
        }
      },
      { settings: { 'tidemark.origin': 'move', statement_timeout: String(statementTimeoutMs) }, signal: stopping.signal },
    )

  /** One process at a time. A crash between the two commits gives the same rows once more, in the same order. */
  const drainBatch = (): Promise<number> =>
    primary.transaction(
      async (db) => {
        await lockSpool(db)
        const entries = await nextEntries(db, batchSize)
        if (entries.length === 0) return 0
        await breaker.run(() => apply(entries))
        await removeEntries(db, entries)
        return entries.length
      },
      { signal: stopping.signal },
    )

  const drain = async (): Promise<void> => {
    for (let moved = batchSize; moved === batchSize && !stopping.signal.aborted; ) moved = await drainBatch()
  }

  /** Whoever asks while one is under way gets one that begins after it asked. */
  const drained = (): Promise<void> => {
    if (!running) {
      running = drain().finally(() => {
        running = undefined
      })
      return running
    }
    again ??= running
      .catch(() => undefined)
      .then(() => {
        again = undefined
        return drained()
      })
    return again
  }

  const attempt = async (): Promise<boolean> => {
    try {
      await drained()
      tell(false, 'The secondary database has everything again.')
      lastError = null
      return true
    } catch (error) {
      upserts.clear()
      if (stopping.signal.aborted) return false
      // A refusal of the breaker says nothing new.
      if (isTidemarkError(error, 'TM_RESILIENCE_BREAKER_OPEN')) return false
      const cause = isTidemarkError(error) ? error.code : 'unexpected'
      log.warn('the secondary database does not have its rows yet; they wait', { cause })
      // What the first database has trouble with is not the fault of the second.
      if (breaker.read().state === 'CLOSED') return false
      lastError = cause
      tell(true, 'The secondary database does not take its rows; they wait in the spool.')
      return false
    }
  }

  /** A probe now and then also while nothing waits, so that its going is noticed by itself. */
  const look = async (): Promise<void> => {
    const probe = async (): Promise<unknown> => secondary.query('select 1', [], { signal: AbortSignal.timeout(2_000) })
    await breaker.run(probe).catch((error: unknown) => {
      if (isTidemarkError(error, 'TM_RESILIENCE_BREAKER_OPEN')) return
      lastError = isTidemarkError(error) ? error.code : 'unexpected'
      tell(true, 'The secondary database does not answer; its rows wait in the spool.')
    })
    await attempt()
  }

  const schedule = (): void => {
    if (stopping.signal.aborted) return
    timer = setTimeout(() => void look().finally(schedule), everyMs)
    timer.unref()
  }

  return {
    start: async () => {
      await switchSpool(primary, true)
      void attempt()
      schedule()
    },
    stop: async () => {
      stopping.abort()
      clearTimeout(timer)
      await Promise.allSettled([running, again])
    },
    settle: async () => {
      if (breaker.read().state !== 'CLOSED') return false
      const late = new AbortController()
      const tooLate = new Promise<false>((resolve) => {
        const timeout = setTimeout(() => resolve(false), settleMs)
        late.signal.addEventListener('abort', () => clearTimeout(timeout))
      })
      const isThere = await Promise.race([attempt(), tooLate])
      late.abort()
      return isThere
    },
    status: async () => {
      const { entries, oldest_seconds } = await backlogOf(primary)
      return {
        configured: true,
        available: !isAway,
        backlog: entries,
        oldest_seconds,
        last_error: lastError,
      }
    },
  }
}
