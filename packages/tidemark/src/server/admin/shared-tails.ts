import type { TailRun, Told } from '../operations/feed-tail.js'

export interface TailListener {
  /** From now on nothing is missed: behind that position, where one is known. */
  onListening(position: string | undefined): void
  onTold(told: Told): void
  /** Nothing comes any more; undefined where the server stops. */
  onEnd(error: unknown): void
}

export type OpenTail = (
  tables: readonly string[] | undefined,
  run: Pick<TailRun, 'signal' | 'onTold' | 'onListening'>,
) => Promise<void>

export interface SharedTails {
  /** Gives what ends the listening. */
  listen(tables: readonly string[] | undefined, listener: TailListener): () => void
  stop(): Promise<void>
}

/** Whoever reloads a page finds the tail still there. */
const lingerMs = 2_000

/** One reader, and all who look at the same tables. */
class SharedTail {
  readonly ended: Promise<void>
  readonly #listeners = new Set<TailListener>()
  readonly #controller = new AbortController()
  readonly #lingerMs: number
  #isListening = false
  /** Of the last transaction that was told whole. */
  #position: string | undefined
  #leaving: NodeJS.Timeout | undefined

  constructor(open: OpenTail, tables: readonly string[] | undefined, stayMs: number, onEnded: () => void) {
    this.#lingerMs = stayMs
    const { signal } = this.#controller
    const run = { signal, onTold: (told: Told) => this.#tell(told), onListening: () => this.#listening() }
    this.ended = open(tables, run).then(
      () => this.#end(undefined, onEnded),
      (error: unknown) => this.#end(error, onEnded),
    )
  }

  add(listener: TailListener): () => void {
    clearTimeout(this.#leaving)
    this.#listeners.add(listener)
    if (this.#isListening) listener.onListening(this.#position)
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return
      this.#leaving = setTimeout(() => this.stop(), this.#lingerMs)
      this.#leaving.unref()
    }
  }

  stop(): void {
    clearTimeout(this.#leaving)
    this.#controller.abort()
  }

  #tell(told: Told): void {
    if (told.type === 'reset' || told.last) this.#position = told.position
    for (const listener of this.#listeners) listener.onTold(told)
  }

  #listening(): void {
    this.#isListening = true
    for (const listener of this.#listeners) listener.onListening(undefined)
  }

  #end(error: unknown, onEnded: () => void): void {
    onEnded()
    const told = this.#controller.signal.aborted ? undefined : error
    for (const listener of [...this.#listeners]) listener.onEnd(told)
    this.#listeners.clear()
  }
}

/**
 * One reader of the log for all who look at the same tables, since each holds a replication slot, and Postgres has few. A listener that does
 * not keep up holds up nobody: what it does with that is its own.
 */
export const createSharedTails = (open: OpenTail, { stayMs = lingerMs }: { readonly stayMs?: number } = {}): SharedTails => {
  const tails = new Map<string, SharedTail>()
  const leaving = new Set<Promise<void>>()
  const begin = (key: string, tables: readonly string[] | undefined): SharedTail => {
    const tail: SharedTail = new SharedTail(open, tables, stayMs, () => {
      if (tails.get(key) === tail) tails.delete(key)
    })
    tails.set(key, tail)
    leaving.add(tail.ended)
    void tail.ended.then(() => leaving.delete(tail.ended))
    return tail
  }
  return {
    listen: (tables, listener) => {
      const sorted = tables && [...new Set(tables)].sort()
      const key = JSON.stringify(sorted ?? null)
      return (tails.get(key) ?? begin(key, sorted)).add(listener)
    },
    stop: async () => {
      for (const tail of tails.values()) tail.stop()
      await Promise.all(leaving)
    },
  }
}
