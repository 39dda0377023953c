import { overlaidRows } from '../mutations/overlaid-rows.js'
import type { Overlay } from '../mutations/overlay.js'
import { PendingOverlays } from '../mutations/pending-overlays.js'
import type { AnyRow } from '../schema.js'
import { LiveData } from './live-data.js'
import type { Applied } from './live-rows.js'
import type { ResolvedSpec } from './live-spec.js'
import { keyOf } from './match-row.js'
import { Pace } from './pace.js'
import type { Feed, OpenFeed, ReadPage } from './ports.js'
import { Reader, type ReadOutcome } from './reader.js'
import { type LiveEffect, type LiveEvent, type LiveState, transitions } from './states.js'

export interface LiveSettings {
  /** How often rows are read while no changes are told. Default 30,000. */
  readonly pollMs: number
  /** How long a channel that is lost is waited for before that. Default 5,000. */
  readonly graceMs: number
  /** Those who look are told at most this often. Default 16. */
  readonly paceMs: number
  /** What one answer of the server holds at most, its `rest.maxRows`. Default 1,000. */
  readonly maxRows: number
}

/** A live query as it is. Every change makes a new one; rows that are as they were are the same objects. */
export interface LiveSnapshot<Row extends object = AnyRow> {
  readonly rows: readonly Row[]
  readonly state: LiveState
  /** Nothing was read yet. */
  readonly isLoading: boolean
  /** There are rows behind the last one. */
  readonly hasMore: boolean
  /** Why rows could not be read, or changes not be told, the last time. */
  readonly error: Error | undefined
  /** The row is shown before the server has said so. */
  isPending(row: Row): boolean
  /** Names a row for as long as it is shown, also while it has no key yet. */
  idOf(row: Row): string
}

export interface LiveQueryOptions {
  readonly spec: ResolvedSpec
  readonly readPage: ReadPage
  readonly openFeed: OpenFeed
  readonly settings: LiveSettings
}

const retryMs = { first: 500, most: 30_000 }
const nothing: readonly never[] = []

/** Keeps the rows of one spec live while somebody looks, see SPEC.md. */
export class LiveQuery {
  readonly spec: ResolvedSpec
  readonly #options: LiveQueryOptions
  readonly #data: LiveData
  readonly #overlays: PendingOverlays
  readonly #feed: Feed
  readonly #reader: Reader
  readonly #pace: Pace
  readonly #listeners = new Set<() => void>()
  /** Clients' ids of rows, by their keys. */
  readonly #ids = new Map<string, string>()
  readonly #timers = new Map<'wait' | 'retry' | 'poll', ReturnType<typeof setTimeout>>()
  #state: LiveState = 'connecting'
  /** Why rows could not be read, and why no changes are told. */
  #readError: Error | undefined
  #feedError: Error | undefined
  #base: readonly AnyRow[] = nothing
  #hasMore = false
  #snapshot: LiveSnapshot | undefined
  #running = false
  #failures = 0
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor(options: LiveQueryOptions) {
    this.#options = options
    this.spec = options.spec
    const data = new LiveData(options.spec)
    this.#data = data
    this.#overlays = new PendingOverlays({
      key: options.spec.key,
      get: (key) => data.rows.get(key),
      get position() {
        return data.position
      },
    })
    this.#reader = new Reader({
      spec: options.spec,
      readPage: options.readPage,
      maxRows: options.settings.maxRows,
      data,
      began: () => this.#overlays.reading(),
      ended: (outcome, error) => this.#read(outcome, error),
    })
    this.#pace = new Pace(options.settings.paceMs, () => this.#publish())
    this.#feed = options.openFeed(options.spec, {
      joined: (named) => this.#joined(named),
      turn: (changes, position, until) => {
        this.#overlays.told(changes)
        this.#took(this.#data.turn(changes, position, until))
      },
      gap: (position) => {
        this.#data.gap(position)
        this.#dispatch('gap')
      },
      lost: (problem) => {
        this.#feedError = problem
        this.#dispatch('lost')
      },
    })
  }

  get state(): LiveState {
    return this.#state
  }

  get snapshot(): LiveSnapshot {
    this.#snapshot ??= this.#makeSnapshot()
    return this.#snapshot
  }

  /** Called after a change, at most once in a turn. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Begins, or goes on behind what it had when it was paused. */
  start(): void {
    if (this.#running) return
    this.#running = true
    this.#arm('wait')
    const { needsLoad, position } = this.#data
    // Without a position nothing says what was missed meanwhile; joining finds that out.
    if (needsLoad) void this.#reader.read()
    else this.#feed.join(position)
  }

  /** Tells nothing, asks nothing, and keeps what it has. */
  pause(): void {
    if (!this.#running) return
    this.#running = false
    this.#feed.leave()
    this.#reader.stop()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    this.#pace.stop()
    this.#state = 'connecting'
    this.#snapshot = undefined
  }

  /** What it has was somebody else's. */
  reset(): void {
    const wasRunning = this.#running
    this.pause()
    this.#data.clear()
    this.#overlays.clear()
    this.#ids.clear()
    this.#readError = undefined
    this.#feedError = undefined
    this.#base = nothing
    this.#hasMore = false
    this.#tell()
    if (wasRunning) this.start()
  }

  network(event: 'networkDown' | 'networkUp'): void {
    this.#dispatch(event)
  }

  /** Reads everything anew. */
  refresh(): Promise<void> {
    return this.#running ? this.#reader.read() : Promise.resolve()
  }

  /** Shows so many rows more, where there are any. */
  loadMore(by: number): Promise<void> {
    return this.#running ? this.#reader.readMore(by) : Promise.resolve()
  }

  show(overlay: Overlay): void {
    this.#overlays.add(overlay)
    this.#tell()
  }

  /** It was refused, or nobody knows what came of it. */
  withdraw(overlay: Overlay): void {
    if (this.#overlays.delete(overlay)) this.#tell()
  }

  /** It has an outcome. */
  committed(overlay: Overlay): void {
    const key = overlay.outcome?.row && keyOf(this.spec.key, overlay.outcome.row)
    if (overlay.kind === 'insert' && key !== undefined) this.#ids.set(key, overlay.id)
    if (this.#state !== 'catching-up') this.#rebase()
    // Nobody will tell when it is passed.
    const isTold = overlay.outcome?.position !== undefined && (this.#state === 'live' || this.#state === 'catching-up')
    if (this.#overlays.hasCommitted && !isTold && this.#running) void this.#reader.read()
    this.#tell()
  }

  #dispatch(event: LiveEvent): void {
    if (!this.#running) return
    const { to, effects } = transitions[this.#state][event]
    const isNew = to !== this.#state
    // What was told meanwhile is shown together with the word that it is all there.
    if (isNew && this.#state === 'catching-up') this.#rebase()
    this.#state = to
    if (to === 'live' || to === 'catching-up') this.#disarm('wait', 'poll')
    if (isNew) this.#changed()
    for (const effect of effects) this.#carryOut(effect)
  }

  #carryOut(effect: LiveEffect): void {
    if (effect === 'load') void this.#reader.read()
    else if (effect === 'check') this.#check()
    else if (effect !== 'ask') this.#arm(effect)
    else if (this.#feed.isJoined) this.#dispatch('joined')
  }

  #check(): void {
    if (this.#data.isComplete) this.#dispatch('caughtUp')
    else if (this.#data.needsLoad) this.#readUnlessReading()
  }

  #arm(timer: 'wait' | 'retry' | 'poll'): void {
    const { pollMs, graceMs } = this.#options.settings
    this.#disarm(timer)
    const backoff = Math.min(retryMs.first * 2 ** Math.max(0, this.#failures - 1), retryMs.most)
    const delayMs = { wait: graceMs, retry: backoff, poll: pollMs }[timer]
    const fire = (): void => {
      this.#timers.delete(timer)
      if (timer === 'wait') this.#dispatch('waited')
      else void this.#reader.read()
    }
    this.#timers.set(timer, setTimeout(fire, delayMs))
  }

  #disarm(...timers: readonly ('wait' | 'retry' | 'poll')[]): void {
    for (const timer of timers) {
      clearTimeout(this.#timers.get(timer))
      this.#timers.delete(timer)
    }
  }

  #joined(named: boolean): void {
    this.#feedError = undefined
    this.#data.begin(named)
    this.#dispatch('joined')
  }

  #took(applied: Applied): void {
    this.#feed.moveTo(this.#data.position)
    if (applied !== 'same' || this.#overlays.hasCommitted) this.#pace.request()
    if (applied === 'short') this.#refill()
    if (this.#state === 'catching-up') this.#check()
  }

  #read(outcome: ReadOutcome, error: Error | undefined): void {
    this.#readError = error
    this.#failures = error ? this.#failures + 1 : 0
    this.#readAtMs = performance.now()
    this.#disarm('retry')
    if (!error) this.#rebase()
    this.#changed()
    // Now it is known where to go on.
    const { needsLoad, position } = this.#data
    this.#feed.moveTo(position)
    this.#feed.join(needsLoad ? undefined : position)
    this.#dispatch(outcome)
    // What came in meanwhile has made it stale again.
    if (!error && this.#data.needsLoad) this.#refill()
  }

  /** A window of which rows go all the time is not read all the time. */
  #refill(): void {
    if (this.#timers.has('retry') || this.#reader.isReading) return
    if (performance.now() - this.#readAtMs < retryMs.first) this.#arm('retry')
    else void this.#reader.read()
  }

  #readUnlessReading(): void {
    if (!this.#reader.isReading && !this.#timers.has('retry')) void this.#reader.read()
  }

  /** What is told while it catches up may be older than what is shown: it is shown when that is over. */
  #publish(): void {
    if (this.#state !== 'catching-up') this.#rebase()
    this.#tell()
  }

  #rebase(): void {
    this.#overlays.settle()
    this.#base = this.#data.rows.list()
    this.#hasMore = this.#data.rows.more
  }

  #changed(): void {
    this.#snapshot = undefined
    this.#pace.request()
  }

  #tell(): void {
    this.#snapshot = undefined
    for (const listener of [...this.#listeners]) listener()
  }

  #makeSnapshot(): LiveSnapshot {
    const overlays = this.#overlays.list
    const { rows, made } = overlaidRows(this.spec, this.#base, overlays, this.#data.rows.limit)
    const ids = this.#ids
    const { key } = this.spec
    return {
      rows,
      state: this.#state,
      isLoading: !this.#data.loaded,
      hasMore: this.#hasMore,
      error: this.#readError ?? this.#feedError,
      isPending: (row) => made.get(row as AnyRow)?.outcome === undefined && made.has(row as AnyRow),
      idOf: (row) => {
        const overlay = made.get(row as AnyRow)
        if (overlay?.kind === 'insert') return overlay.id
        const name = keyOf(key, row as AnyRow) ?? ''
        return ids.get(name) ?? name
      },
    }
  }
}
