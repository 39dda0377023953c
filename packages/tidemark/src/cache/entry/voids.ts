/** Since when values of one entry, or of a tag, are void: what was loaded before that position is not to be answered. */

/** So many tags are remembered one by one; of the others it is only known that none was evicted later than the last that was forgotten. */
const maxTags = 10_000

export class Voids {
  /** Everything loaded before it. */
  #floor = 0n
  /** Of values with tags. */
  #tagFloor = 0n
  readonly #tags = new Map<string, bigint>()

  voidAll(position: bigint): void {
    if (position <= this.#floor) return
    this.#floor = position
    for (const [tag, at] of this.#tags) if (at <= position) this.#tags.delete(tag)
  }

  voidTag(tag: string, position: bigint): void {
    const before = this.#tags.get(tag) ?? 0n
    this.#tags.delete(tag)
    this.#tags.set(tag, before > position ? before : position)
    if (this.#tags.size <= maxTags) return
    const [oldest, at] = this.#tags.entries().next().value!
    this.#tags.delete(oldest)
    if (at > this.#tagFloor) this.#tagFloor = at
  }

  /** Another history: nothing is known of what came before. */
  restart(position: bigint): void {
    this.#tags.clear()
    this.#floor = position
    this.#tagFloor = 0n
  }

  /** Whether a value that was loaded when everything up to `asOf` was applied is not to be answered any more. */
  isVoid(asOf: bigint, tags: readonly string[]): boolean {
    if (asOf < this.#floor) return true
    if (tags.length === 0) return false
    return asOf < this.#tagFloor || tags.some((tag) => asOf < (this.#tags.get(tag) ?? 0n))
  }
}
