interface Held<T> {
  readonly item: T
  readonly weight: number
}

/** Between one that gives and one that takes, each at its own pace until it is full. */
export class BoundedQueue<T> {
  readonly #maxWeight: number
  #held: Held<T>[] = []
  #weight = 0
  #end: { readonly error?: unknown } | undefined
  #wakeTaker: () => void = () => {}
  #wakeGivers: (() => void)[] = []

  constructor(maxWeight: number) {
    this.#maxWeight = maxWeight
  }

  /** Resolves at once while there is room, else when there is some again, or when the queue has ended. */
  async push(item: T, weight: number): Promise<void> {
    if (this.#end) return
    this.#held.push({ item, weight })
    this.#weight += weight
    this.#wakeTaker()
    while (this.#weight > this.#maxWeight && !this.#end) {
      await new Promise<void>((resolve) => this.#wakeGivers.push(resolve))
    }
  }

  /** What is held is still given; then the taker's loop ends, or raises the error where one is given. */
  end(...error: [] | [unknown]): void {
    this.#end ??= error.length > 0 ? { error: error[0] } : {}
    this.#wakeTaker()
    this.#releaseGivers()
  }

  /** Everything that is held, as soon as there is something; empty when the queue has ended. One taker only. */
  async takeAll(): Promise<readonly T[]> {
    while (this.#held.length === 0 && !this.#end) {
      await new Promise<void>((resolve) => {
        this.#wakeTaker = resolve
      })
    }
    if (this.#held.length === 0 && this.#end && 'error' in this.#end) throw this.#end.error
    const items = this.#held.map(({ item }) => item)
    this.#held = []
    this.#weight = 0
    this.#releaseGivers()
    return items
  }

  /** One after the other; room is made as each is taken. */
  async *items(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const held = this.#held.shift()
      if (held) {
        yield held.item
        this.#weight -= held.weight
        if (this.#weight <= this.#maxWeight) this.#releaseGivers()
      } else if (this.#end) {
        if ('error' in this.#end) throw this.#end.error
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeTaker = resolve
        })
      }
    }
  }

  #releaseGivers(): void {
    const givers = this.#wakeGivers
    this.#wakeGivers = []
    for (const wake of givers) wake()
  }
}
