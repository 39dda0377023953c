/**
 * Which event may run now. Nothing here waits or does anything: what it decides is done by others, and told it afterwards.
 *
 * A lane is *held* (its events are in memory) or *parked* (they are rows in Postgres, in their order, since its first one failed or
 * since somebody put them there). Events that come for a parked lane are stored behind those. What is in memory is older than what
 * is stored, so it runs first.
 *
 *          arrive                    succeeded
 *   held ──────────► running ────────────────────► held | gone
 *                      │ failed: the rest is stored
 *                      ▼
 *                   parked ── due ──► running (stored) ── empty ──► held | gone
 */
interface Lane<T> {
  readonly key: string
  waiting: T[]
  running: boolean
  parked: boolean
  /** Parked, and its first row may run. */
  due: boolean
  /** Events on their way into Postgres. */
  storing: number
  isReady: boolean
}

export interface Taken<T> {
  readonly lane: string
  readonly items: readonly T[]
}

/** `batch`: together with others. `solo`: in a transaction of its own. `later`: not now. */
export type Choice = 'batch' | 'solo' | 'later'

export class Lanes<T> {
  readonly #lanes = new Map<string, Lane<T>>()
  /** Lanes that may have something to run, in the order in which they came to it. */
  #ready: Lane<T>[] = []
  #held = 0
  #running = 0

  /** Events in memory, running ones included. */
  get held(): number {
    return this.#held
  }

  get runningLanes(): number {
    return this.#running
  }

  get parked(): number {
    let count = 0
    for (const { parked } of this.#lanes.values()) if (parked) count++
    return count
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0
  }

  has(key: string): boolean {
    return this.#lanes.has(key)
  }

  /** True where something of a lane runs, or may run now. */
  isBusy(key: string): boolean {
    const lane = this.#lanes.get(key)
    return lane !== undefined && (lane.running || lane.due || lane.waiting.length > 0)
  }

  /** Takes an event that was read; `store` where it has to be stored behind its lane, which `stored` then tells. */
  arrive(key: string, item: T): 'held' | 'store' {
    const lane = this.#lane(key)
    if (lane.parked) {
      lane.storing++
      return 'store'
    }
    lane.waiting.push(item)
    this.#held++
    this.#offer(lane)
    return 'held'
  }

  /** What runs next: one event alone, or the first events of several lanes in the order of each. Empty where nothing may. */
  take(max: number, choose: (item: T) => Choice): readonly Taken<T>[] {
    const taken: Taken<T>[] = []
    const later: Lane<T>[] = []
    let count = 0
    for (let at = 0; at < this.#ready.length && count < max; at++) {
      const lane = this.#ready[at]!
      const choice = lane.running || lane.waiting.length === 0 ? undefined : choose(lane.waiting[0]!)
      if (choice === undefined) {
        lane.isReady = false
        this.#offerStored(lane, later)
      } else if (choice === 'later' || (choice === 'solo' && count > 0)) later.push(lane)
      else {
        const items = choice === 'solo' ? lane.waiting.splice(0, 1) : this.#batchOf(lane, max - count, choose)
        taken.push({ lane: lane.key, items })
        count += items.length
        lane.isReady = false
        this.#run(lane)
      }
      if (choice === 'solo' && count === 1 && taken.length === 1) {
        this.#ready = [...later, ...this.#ready.slice(at + 1)]
        return taken
      }
      if (count >= max) {
        this.#ready = [...later, ...this.#ready.slice(at + 1)]
        return taken
      }
    }
    this.#ready = later
    return taken
  }

  #batchOf(lane: Lane<T>, max: number, choose: (item: T) => Choice): T[] {
    let count = 1
    while (count < max && count < lane.waiting.length && choose(lane.waiting[count]!) === 'batch') count++
    return lane.waiting.splice(0, count)
  }

  /** A parked lane whose first row may run now, and of which `mayRun` says so too. */
  takeStored(mayRun: (key: string) => boolean = () => true): string | undefined {
    const at = this.#ready.findIndex((lane) => this.#mayRunStored(lane) && mayRun(lane.key))
    if (at < 0) return undefined
    const [lane] = this.#ready.splice(at, 1)
    lane!.isReady = false
    lane!.due = false
    this.#run(lane!)
    return lane!.key
  }

  /** Of a lane's taken events all have ended well, or need nothing more. */
  succeeded(key: string, count: number): void {
    const lane = this.#stopped(key, count)
    this.#offer(lane)
    this.#forget(lane)
  }

  /** The first of a lane's taken events was put off into Postgres, or is dead with others stored behind it. Gives what has to be stored. */
  failed(key: string, count: number): readonly T[] {
    const lane = this.#stopped(key, count)
    lane.parked = true
    const rest = lane.waiting
    lane.waiting = []
    this.#held -= rest.length
    lane.storing += rest.length
    return rest
  }

  /** The last of a lane's taken events did not run: they go back to where they were. `count` others ended well. */
  putBack(key: string, items: readonly T[], count = 0): void {
    const lane = this.#stopped(key, count)
    lane.waiting.unshift(...items)
    this.#offer(lane)
  }

  /** Events of a lane have reached Postgres. */
  stored(key: string, count: number): void {
    const lane = this.#lane(key)
    lane.storing -= count
    // A run that looked at the rows before has not seen them.
    if (lane.running) lane.due = true
    this.#offer(lane)
  }

  /** There are rows of this lane; `due` where the first may run. */
  park(key: string, due: boolean): void {
    const lane = this.#lane(key)
    lane.parked = true
    lane.due ||= due
    this.#offer(lane)
  }

  /** A run over the rows of a lane has ended: none is left, its first one has to wait, or it goes on later. */
  storedEnded(key: string, how: 'empty' | 'waits' | 'again'): void {
    const lane = this.#lane(key)
    lane.running = false
    this.#running--
    // Something came while the rows were looked at: it may not have been seen.
    if (how === 'empty' && lane.storing === 0 && !lane.due) lane.parked = false
    else if (how !== 'waits') lane.due = true
    this.#offer(lane)
    this.#forget(lane)
  }

  /** Everything that waits in memory is given up; what runs is told as ever. */
  clear(): void {
    for (const lane of this.#lanes.values()) {
      this.#held -= lane.waiting.length
      lane.waiting = []
    }
    this.#ready = []
  }

  #lane(key: string): Lane<T> {
    const known = this.#lanes.get(key)
    if (known) return known
    const lane: Lane<T> = { key, waiting: [], running: false, parked: false, due: false, storing: 0, isReady: false }
    this.#lanes.set(key, lane)
    return lane
  }

  #mayRunStored({ running, waiting, parked, due, storing }: Lane<T>): boolean {
    return !running && waiting.length === 0 && parked && due && storing === 0
  }

  #offer(lane: Lane<T>): void {
    if (lane.isReady || lane.running) return
    if (lane.waiting.length === 0 && !this.#mayRunStored(lane)) return
    lane.isReady = true
    this.#ready.push(lane)
  }

  #offerStored(lane: Lane<T>, to: Lane<T>[]): void {
    if (!this.#mayRunStored(lane)) return
    lane.isReady = true
    to.push(lane)
  }

  #run(lane: Lane<T>): void {
    lane.running = true
    this.#running++
  }

  #stopped(key: string, count: number): Lane<T> {
    const lane = this.#lane(key)
    lane.running = false
    this.#running--
    this.#held -= count
    return lane
  }

  #forget(lane: Lane<T>): void {
    if (lane.running || lane.parked || lane.storing > 0 || lane.waiting.length > 0) return
    if (lane.isReady) this.#ready = this.#ready.filter((each) => each !== lane)
    this.#lanes.delete(lane.key)
  }
}
