import type { Pool } from '../../postgres/postgres.js'
import type { Alert } from '../alerts.js'
import { addNotifications } from '../notify/outbox.js'
import {
  type AlertEvent,
  addEvents,
  type Db,
  markFolded,
  readChanges,
  readLast,
  readOpen,
  readSignals,
  readSources,
  readTaken,
  type WaitingSignal,
  writeAlerts,
  writeSources,
} from './alert-rows.js'
import { type Folded, type FoldedAlert, foldSignals } from './fold.js'
import { flappingWindowMs, type PlanOptions, planNotices, type Restlessness } from './plan-notices.js'

/** Signals of one transaction. */
export const foldBatch = 1000

/** One job over all nodes: whoever has this lock for the length of a transaction. */
export const foldLockSql = `select pg_try_advisory_xact_lock(hashtextextended('tidemark.alerts.fold', 0)) as locked`

export interface FoldReport {
  readonly folded: number
  readonly opened: readonly Alert[]
}

const nothing: FoldReport = { folded: 0, opened: [] }

const grouped = (signals: readonly WaitingSignal[]): ReadonlyMap<string, readonly WaitingSignal[]> => {
  const groups = new Map<string, WaitingSignal[]>()
  for (const signal of signals) {
    const group = groups.get(signal.fingerprint)
    if (group) group.push(signal)
    else groups.set(signal.fingerprint, [signal])
  }
  return groups
}

const foldAll = async (db: Db, signals: readonly WaitingSignal[]): Promise<readonly Folded[]> => {
  const groups = grouped(signals)
  const fingerprints = [...groups.keys()]
  const open = new Map((await readOpen(db, fingerprints)).map((alert) => [alert.fingerprint, alert]))
  const last = new Map((await readLast(db, fingerprints)).map((row) => [row.fingerprint, row]))
  const taken = await readTaken(
    db,
    signals.flatMap(({ proposedId }) => proposedId ?? []),
  )
  const sources = new Map<string, Map<string, number>>()
  const ids = [...open.values()].map(({ id }) => id)
  for (const { alertId, source, seenAtMs } of await readSources(db, ids)) {
    const seen = sources.get(alertId) ?? new Map<string, number>()
    sources.set(alertId, seen.set(source, seenAtMs))
  }
  return [...groups].map(([fingerprint, group]) => {
    const alert = open.get(fingerprint)
    const seen = (alert && sources.get(alert.id)) ?? new Map<string, number>()
    return foldSignals({ fingerprint, open: alert, sources: seen, last: last.get(fingerprint), taken }, group)
  })
}

const eventsOf = ({ alert, changes, repeated }: FoldedAlert): readonly AlertEvent[] => {
  const { id: alertId, fingerprint } = alert
  return [
    ...changes.map((kind) => ({ alertId, fingerprint, kind, details: { severity: alert.severity, message: alert.message } })),
    ...(repeated > 0 ? [{ alertId, fingerprint, kind: 'repeated' as const, details: { count: repeated } }] : []),
  ]
}

const store = async (db: Db, folded: readonly FoldedAlert[], options: PlanOptions): Promise<void> => {
  if (folded.length === 0) return
  const fingerprints = [...new Set(folded.map(({ alert }) => alert.fingerprint))]
  const known = new Map(
    (await readChanges(db, fingerprints, flappingWindowMs)).map(({ fingerprint, ...row }) => [fingerprint, row]),
  )
  const restless = new Map<string, Restlessness>(
    fingerprints.map((name) => [name, known.get(name) ?? { changes: 0, told: false }]),
  )
  await writeAlerts(
    db,
    folded.filter(({ isNew }) => !isNew).map(({ alert }) => alert),
    folded.filter(({ isNew }) => isNew).map(({ alert }) => alert),
  )
  const sources = folded.flatMap(({ alert, sources }) =>
    alert.status === 'resolved' ? [] : [...sources].map(([source, seenAtMs]) => ({ alertId: alert.id, source, seenAtMs })),
  )
  await writeSources(
    db,
    sources,
    folded.map(({ alert }) => alert.id),
  )
  const planned = folded.map((each) => planNotices(each, restless.get(each.alert.fingerprint)!, options))
  await addEvents(db, [...folded.flatMap(eventsOf), ...planned.flatMap(({ events }) => events)])
  await addNotifications(
    db,
    planned.flatMap(({ rows }) => rows),
  )
}

/**
 * Folds what waits into one open alert for each condition, with what has to be told, in one transaction. Where another node is at it,
 * nothing is done.
 */
export const foldWaiting = (pool: Pick<Pool, 'transaction'>, options: PlanOptions): Promise<FoldReport> =>
  pool.transaction(async (db) => {
    const { rows } = await db.query<{ readonly locked: boolean }>(foldLockSql)
    if (!rows[0]?.locked) return nothing
    const signals = await readSignals(db, foldBatch)
    if (signals.length === 0) return nothing
    const all = await foldAll(db, signals)
    const folded = all.flatMap(({ alerts }) => alerts)
    await store(db, folded, options)
    await markFolded(db, new Map(all.flatMap(({ of }) => [...of])))
    const opened = folded.filter(({ changes }) => changes.includes('opened')).map(({ alert }) => alert)
    return { folded: signals.length, opened }
  })
