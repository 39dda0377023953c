import type { Overlay } from '../mutations/overlay.js'
import { LiveQuery, type LiveSettings, type LiveSnapshot } from './live-query.js'
import type { ResolvedSpec } from './live-spec.js'
import type { OpenFeed, ReadPage } from './ports.js'
import type { LiveState } from './states.js'

export interface LiveQueriesOptions {
  readonly readPage: ReadPage
  readonly openFeed: OpenFeed
  readonly settings: LiveSettings
  /** So long after the last one has gone who looked at a query, its channel is left. Default 1,000. */
  readonly lingerMs: number
  /** So long after that its rows are kept for whoever comes back. Default 300,000. */
  readonly keptMs: number
}

type Timer = ReturnType<typeof setTimeout>

/** A query and who looks at it. */
interface Shared {
  readonly query: LiveQuery
  readonly listeners: Set<() => void>
  leaving: Timer | undefined
}

/** From the worst to the best. */
const ranks: readonly LiveState[] = ['offline', 'polling', 'connecting', 'catching-up', 'live']

/** A process that has nothing else to do may end. */
const unref = (timer: Timer): Timer => {
  if (typeof timer === 'object') (timer as { unref?(): void }).unref?.()
  return timer
}

/** All live queries of a client: one for each spec, however many look. */
export class LiveQueries {
  readonly #options: LiveQueriesOptions
  readonly #shared = new Map<string, Shared>()
  readonly #watchers = new Set<() => void>()
  /** Those that are not committed yet: for queries that begin meanwhile. */
  readonly #open = new Set<Overlay>()
  #isPaused = false

  constructor(options: LiveQueriesOptions) {
    this.#options = options
  }

  /** How many are kept. */
  get size(): number {
    return this.#shared.size
  }

  /** The worst of the queries that somebody looks at; undefined where nobody looks. */
  get state(): LiveState | undefined {
    const states = this.#active().map(({ query }) => ranks.indexOf(query.state))
    return states.length === 0 ? undefined : ranks[Math.min(...states)]
  }

  /** Called when any query has changed. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => void this.#watchers.delete(listener)
  }

  snapshot(spec: ResolvedSpec): LiveSnapshot {
    return this.query(spec).snapshot
  }

  query(spec: ResolvedSpec): LiveQuery {
    return this.#find(spec).query
  }

  subscribe(spec: ResolvedSpec, listener: () => void): () => void {
    const shared = this.#find(spec)
    clearTimeout(shared.leaving)
    // One function may look twice.
    const own = () => listener()
    shared.listeners.add(own)
    if (!this.#isPaused) shared.query.start()
    this.#tell()
    return () => {
      if (!shared.listeners.delete(own) || shared.listeners.size > 0) return
      this.#leaveSoon(spec.name, shared)
      this.#tell()
    }
  }

  /** Nobody sees what changes: channels are left, and rows and positions stay. */
  pause(): void {
    this.#isPaused = true
    for (const { query } of this.#shared.values()) query.pause()
  }

  resume(): void {
    this.#isPaused = false
    for (const { query } of this.#active()) query.start()
  }

  /** The caller is another. */
  reset(): void {
    this.#open.clear()
    for (const [name, { query, listeners }] of this.#shared) {
      if (listeners.size === 0) this.#shared.delete(name)
      query.reset()
    }
  }

  network(event: 'networkDown' | 'networkUp'): void {
    for (const { query } of this.#active()) query.network(event)
  }

  stop(): void {
    for (const { query, leaving } of this.#shared.values()) {
      clearTimeout(leaving)
      query.pause()
    }
    this.#shared.clear()
    this.#watchers.clear()
  }

  show(overlay: Overlay): void {
    if (!overlay.outcome) this.#open.add(overlay)
    for (const query of this.#of(overlay)) query.show(overlay)
  }

  committed(overlay: Overlay): void {
    this.#open.delete(overlay)
    for (const query of this.#of(overlay)) query.committed(overlay)
  }

  withdraw(overlay: Overlay): void {
    this.#open.delete(overlay)
    for (const query of this.#of(overlay)) query.withdraw(overlay)
  }

  #of({ table }: Overlay): readonly LiveQuery[] {
    return [...this.#shared.values()].flatMap(({ query }) => (query.spec.table === table ? [query] : []))
  }

  #active(): readonly Shared[] {
    return [...this.#shared.values()].filter(({ listeners }) => listeners.size > 0)
  }

  #find(spec: ResolvedSpec): Shared {
    const known = this.#shared.get(spec.name)
    if (known) return known
    const { readPage, openFeed, settings } = this.#options
    const query = new LiveQuery({ spec, readPage, openFeed, settings })
    const shared: Shared = { query, listeners: new Set(), leaving: undefined }
    this.#shared.set(spec.name, shared)
    query.onChange(() => {
      for (const listener of [...shared.listeners]) listener()
      this.#tell()
    })
    for (const overlay of this.#open) if (overlay.table === spec.table) query.show(overlay)
    this.#leaveSoon(spec.name, shared)
    return shared
  }

  #leaveSoon(name: string, shared: Shared): void {
    const { lingerMs, keptMs } = this.#options
    const forget = (): void => {
      if (this.#shared.get(name) === shared) this.#shared.delete(name)
    }
    const leave = (): void => {
      shared.query.pause()
      shared.leaving = unref(setTimeout(forget, keptMs))
    }
    shared.leaving = unref(setTimeout(leave, lingerMs))
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }
}
