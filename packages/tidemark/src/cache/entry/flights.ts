/** Loads under way: one for each key, joined by whoever may (CACHE-3). */

/** One load. What is detached may still answer those who wait for it, and is never kept. */
export class Flight<T> {
  isDetached = false
  /** Whether its value has nothing to do with what was doubted since it began. Set where the value is known; before, and without, nobody can tell. */
  isSure: () => boolean = () => false
  /** How many doubts there had been when it began. */
  readonly doubts: number
  readonly promise: Promise<T>

  constructor(doubts: number, work: (flight: Flight<T>) => Promise<T>) {
    this.doubts = doubts
    this.promise = work(this)
  }
}

export class Flights<T> {
  readonly #joinable = new Map<string, Flight<T>>()
  /** Begun, and waiting to begin, for those who need a load that begins after they came. */
  readonly #strict = new Map<string, { readonly running: Promise<unknown>; next: Promise<T> | undefined }>()
  #doubts = 0

  get size(): number {
    return this.#joinable.size
  }

  /**
   * The load of a key, begun where there is none. A change that comes meanwhile detaches it: whoever comes later begins another. Or it raises a
   * doubt: then who comes later waits for it, and tries `again` unless it is sure that what it read is not touched.
   */
  join(key: string, work: (flight: Flight<T>) => Promise<T>, again: () => Promise<T>): Promise<T> {
    const under = this.#joinable.get(key)
    if (under) return under.doubts === this.#doubts ? under.promise : this.#whereSure(under, again)
    const flight = new Flight<T>(this.#doubts, async (own) => {
      // Not before the flight can be found, and detached.
      await null
      try {
        return await work(own)
      } finally {
        if (this.#joinable.get(key) === own) this.#joinable.delete(key)
      }
    })
    this.#joinable.set(key, flight)
    return flight.promise
  }

  async #whereSure(flight: Flight<T>, again: () => Promise<T>): Promise<T> {
    const answer = await flight.promise
    return !flight.isDetached && flight.isSure() ? answer : again()
  }

  /** A load that begins after the call, shared with all that come before it begins: at most one runs and one waits. */
  after(key: string, work: () => Promise<T>): Promise<T> {
    const under = this.#strict.get(key)
    if (!under) return this.#run(key, work)
    under.next ??= under.running.then(() => this.#run(key, work))
    return under.next
  }

  #run(key: string, work: () => Promise<T>): Promise<T> {
    const loading = work()
    const entry = { running: loading.catch(() => undefined), next: undefined }
    this.#strict.set(key, entry)
    void entry.running.then(() => {
      if (this.#strict.get(key) === entry && entry.next === undefined) this.#strict.delete(key)
    })
    return loading
  }

  /** Something changed that touches some of what is under way, and only the values will tell which. */
  doubt(): void {
    this.#doubts++
  }

  detach(key: string): void {
    const flight = this.#joinable.get(key)
    if (!flight) return
    flight.isDetached = true
    this.#joinable.delete(key)
  }

  detachAll(): void {
    for (const flight of this.#joinable.values()) flight.isDetached = true
    this.#joinable.clear()
  }
}
