import { sqlstateOf } from '../postgres-error.js'

/** Whether the sessions behind the connections of one pool keep the names of prepared statements. */
export interface KeptNames {
  areKept: boolean
}

/** A statement's name that the session does not know, or knows already: there is a pooler that does not show in the connection string. */
export const isLostName = (error: unknown): boolean => /^(26000|42P05)$/.test(sqlstateOf(error) ?? '')

/**
 * The named statements that one connection's session holds. Bounded: what was not used for longest is closed. A statement
 * whose Parse may or may not have gone through counts as uncertain, and is closed before it is parsed again, which is no
 * error where it is not there.
 */
export class PreparedNames {
  readonly #max: number
  /** Least recently used first. False: uncertain. */
  readonly #names = new Map<string, boolean>()

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#names.size
  }

  /** Which of the names have to be closed, then which parsed, before all can be bound. */
  plan(wanted: readonly string[]): { readonly close: readonly string[]; readonly parse: ReadonlySet<string> } {
    const names = new Set(wanted)
    const parse = new Set([...names].filter((name) => this.#names.get(name) !== true))
    const close = [...parse].filter((name) => this.#names.has(name))
    for (const name of names) {
      const held = this.#names.get(name) ?? false
      this.#names.delete(name)
      this.#names.set(name, held)
    }
    for (const name of this.#names.keys()) {
      if (this.#names.size <= this.#max || names.has(name)) break
      this.#names.delete(name)
      close.push(name)
    }
    return { close, parse }
  }

  /** All that was planned is there. */
  settle(parsed: Iterable<string>): void {
    for (const name of parsed) if (this.#names.has(name)) this.#names.set(name, true)
  }
}
