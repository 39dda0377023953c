/** Loads under way: one for each key, joined by whoever may (CACHE-3). */

/** One load. What is detached may still answer those who wait for it, and is never kept. */
export class Flight<T> {
  isDetached = false
  readonly promise: Promise<T>

  constructor(work: (flight: Flight<T>) => Promise<T>) {
    this.promise = work(this)
  }
}

export class Flights<T> {
  readonly #joinable = new Map<string, Flight<T>>()
  /** Begun, and waiting to begin, for those who need a load that begins after they came. */
  readonly #strict = new Map<string, { readonly running: Promise<unknown>; next: Promise<T> | undefined }>()

  get size(): number {
    return this.#joinable.size
  }

  /** The load of a key, begun where there is none. A change that comes meanwhile detaches it: whoever comes later begins another. */
  join(key: string, work: (flight: Flight<T>) => Promise<T>): Promise<T> {
    const under = this.#joinable.get(key)
    if (under) return under.promise
    const flight = new Flight<T>(async (own) => {
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
