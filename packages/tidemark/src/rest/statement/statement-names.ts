import { hash } from 'node:crypto'

const maxSeen = 2_000

/**
 * Names for statements that come again, so that they are parsed once per connection. One that was never seen before has none: a
 * statement that nobody repeats is not worth a place among those that are.
 */
export class StatementNames {
  /** Least recently used first. */
  readonly #seen = new Set<string>()

  /** `scope`: what else a plan depends on, the role above all, under whose row security it is made. */
  nameOf(text: string, scope: string): string | undefined {
    const name = `rest ${hash('sha1', `${scope}\0${text}`, 'base64url')}`
    const known = this.#seen.delete(name)
    this.#seen.add(name)
    if (this.#seen.size > maxSeen) {
      const [oldest] = this.#seen
      if (oldest !== undefined) this.#seen.delete(oldest)
    }
    return known ? name : undefined
  }
}
