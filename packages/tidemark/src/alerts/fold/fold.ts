import { type Alert, type AlertSeverity, type AlertSignal, type AlertStatus, begun, graver, rankOf } from '../alerts.js'

/**
 * The states of a stored alert.
 *
 *   (none) ── raise, still ──► active ── an operator ──► acknowledged
 *                               │  ▲                      │   │
 *                               │  └── raised, graver ────┘   │
 *                               └── nobody sees it any more ──┴──► resolved
 *
 * A resolved one stays so: the next signal opens another.
 */
const statusTransitions = {
  active: { raise: 'active', graver: 'active', acknowledge: 'acknowledged', resolve: 'resolved' },
  acknowledged: { raise: 'acknowledged', graver: 'active', acknowledge: 'acknowledged', resolve: 'resolved' },
  resolved: { raise: 'resolved', graver: 'resolved', acknowledge: 'resolved', resolve: 'resolved' },
} as const satisfies Readonly<Record<AlertStatus, Readonly<Record<'raise' | 'graver' | 'acknowledge' | 'resolve', AlertStatus>>>>

/** What is known of one condition before its signals are folded. */
export interface FoldBefore {
  readonly fingerprint: string
  readonly open: Alert | undefined
  /** Who sees it, and saw it last when. */
  readonly sources: ReadonlyMap<string, number>
  /** When it ended last, and which alert that was. */
  readonly last: { readonly id: string; readonly resolvedAtMs: number } | undefined
  /** Ids that alerts have already. */
  readonly taken: ReadonlySet<string>
}

export type FoldedChange = 'opened' | 'raised' | 'resolved'

/** One alert that was touched. */
export interface FoldedAlert {
  readonly alert: Alert
  readonly isNew: boolean
  /** In their order. */
  readonly changes: readonly FoldedChange[]
  readonly repeated: number
  readonly sources: ReadonlyMap<string, number>
  /** Channels that were told straight away. */
  readonly told: ReadonlySet<string>
}

export interface Folded {
  /** In their order; the last may be open, those before it are not. */
  readonly alerts: readonly FoldedAlert[]
  /** Which alert each signal belongs to; null for one that says the end of nothing. */
  readonly of: ReadonlyMap<string, string | null>
}

interface Building {
  alert: Alert
  readonly isNew: boolean
  readonly changes: FoldedChange[]
  repeated: number
  readonly sources: Map<string, number>
  readonly told: Set<string>
}

const opened = (signal: AlertSignal, fingerprint: string, taken: ReadonlySet<string>): Building => ({
  alert: begun(
    signal,
    signal.proposedId !== undefined && !taken.has(signal.proposedId) ? signal.proposedId : signal.id,
    fingerprint,
  ),
  isNew: true,
  changes: ['opened'],
  repeated: 0,
  sources: new Map([[signal.source, signal.raisedAtMs]]),
  told: new Set(signal.told),
})

const isGraver = (one: AlertSeverity, other: AlertSeverity): boolean => rankOf(one) > rankOf(other)

const seenAgain = (building: Building, signal: AlertSignal): void => {
  const { alert } = building
  const rises = isGraver(signal.severity, alert.severity)
  if (rises) building.changes.push('raised')
  if (signal.kind === 'raise') building.repeated += 1
  for (const channel of signal.told) building.told.add(channel)
  building.sources.set(signal.source, signal.raisedAtMs)
  building.alert = {
    ...alert,
    message: signal.message,
    severity: graver(alert.severity, signal.severity),
    status: statusTransitions[alert.status][rises ? 'graver' : 'raise'],
    occurrences: alert.occurrences + (signal.kind === 'raise' ? 1 : 0),
    lastSeenAtMs: Math.max(alert.lastSeenAtMs, signal.raisedAtMs),
  }
}

const ended = (building: Building, signal: AlertSignal): void => {
  building.sources.delete(signal.source)
  for (const channel of signal.told) building.told.add(channel)
  if (building.sources.size > 0) return
  const { alert } = building
  building.changes.push('resolved')
  building.alert = {
    ...alert,
    status: statusTransitions[alert.status].resolve,
    resolvedAtMs: Math.max(signal.raisedAtMs, alert.startedAtMs),
  }
}

/** Folds the signals of one condition, in their order. Changes nothing outside. */
export const foldSignals = ({ fingerprint, open, sources, last, taken }: FoldBefore, signals: readonly AlertSignal[]): Folded => {
  const done: Building[] = []
  const of = new Map<string, string | null>()
  const ids = new Set(taken)
  let lastEnd = last
  let building: Building | undefined = open && {
    alert: open,
    isNew: false,
    changes: [],
    repeated: 0,
    sources: new Map(sources),
    told: new Set(),
  }
  for (const signal of signals) {
    if (signal.kind === 'resolve') {
      of.set(signal.id, building?.alert.id ?? null)
      if (building) ended(building, signal)
    } else if (building) {
      seenAgain(building, signal)
      of.set(signal.id, building.alert.id)
    } else if (lastEnd && signal.raisedAtMs <= lastEnd.resolvedAtMs) {
      // It was said before the end, and committed after it.
      of.set(signal.id, lastEnd.id)
    } else {
      building = opened(signal, fingerprint, ids)
      ids.add(building.alert.id)
      of.set(signal.id, building.alert.id)
    }
    if (building?.alert.status === 'resolved') {
      lastEnd = { id: building.alert.id, resolvedAtMs: building.alert.resolvedAtMs! }
      done.push(building)
      building = undefined
    }
  }
  return { alerts: building ? [...done, building] : done, of }
}
