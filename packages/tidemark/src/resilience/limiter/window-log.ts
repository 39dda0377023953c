/**
 * The moments of the calls in one sliding window: a ring that grows as it fills, to `capacity` moments at most.
 * Moments come in order.
 */
export class WindowLog {
  readonly #capacity: number
  #moments: Float64Array
  #first = 0
  #count = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#moments = new Float64Array(Math.min(capacity, 8))
  }

  get count(): number {
    return this.#count
  }

  /** The moment of the call at `index`, the oldest being 0. */
  at(index: number): number {
    return this.#moments[(this.#first + index) % this.#moments.length]!
  }

  /** Forgets the calls at or before `moment`. */
  forget(moment: number): void {
    while (this.#count > 0 && this.at(0) <= moment) {
      this.#first = (this.#first + 1) % this.#moments.length
      this.#count--
    }
  }

  add(moment: number, times: number): void {
    this.#reserve(this.#count + times)
    for (let i = 0; i < times; i++) {
      this.#moments[(this.#first + this.#count) % this.#moments.length] = moment
      this.#count++
    }
  }

  /** Takes back calls of that very moment. */
  remove(moment: number, times: number): void {
    let index = this.#count - 1
    while (index >= 0 && this.at(index) > moment) index--
    let found = 0
    while (found < times && index - found >= 0 && this.at(index - found) === moment) found++
    for (let at = index + 1; at < this.#count; at++) this.#set(at - found, this.at(at))
    this.#count -= found
  }

  #set(index: number, moment: number): void {
    this.#moments[(this.#first + index) % this.#moments.length] = moment
  }

  #reserve(count: number): void {
    if (count <= this.#moments.length) return
    const grown = new Float64Array(Math.min(this.#capacity, Math.max(count, this.#moments.length * 2)))
    for (let i = 0; i < this.#count; i++) grown[i] = this.at(i)
    this.#moments = grown
    this.#first = 0
  }
}
