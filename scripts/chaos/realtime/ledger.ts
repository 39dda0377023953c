/** What one client was told, held against what was committed: numbers from 1 on, in the order of their commits. */
export interface Tallies {
  told: number
  /** Told again after a reconnect, where the client does not say where it was. */
  again: number
  gaps: number
  readonly wrong: string[]
  /** When which gaps were announced, and how far the client was. */
  readonly announced: string[]
}

const clockTime = (): string => new Date().toISOString().slice(11, 23)

/** Longer than anything stays unwritten. */
const keptMs = 60_000

export class Ledger {
  readonly name: string
  readonly tallies: Tallies = { told: 0, again: 0, gaps: 0, wrong: [], announced: [] }
  readonly #namesItsPosition: boolean
  #joins: readonly string[] = []
  /** The highest number that was told. 0: none. */
  #highest = 0
  /** That which was told last on this connection; undefined before the first. */
  #last: number | undefined
  /** From here on nothing is known to be missing: a gap was announced since the last number. */
  #excused = true
  /** Everything up to here had been acknowledged before the connection that was cut. */
  #acknowledged = 0
  /** What had come by the last questions, which are not yet known to have been answered. */
  #asked: readonly number[] = []
  /** How far it was when, for as long as that may be written nowhere. */
  #history: readonly { readonly atMs: number; readonly number: number }[] = []

  constructor(name: string, { namesItsPosition }: { readonly namesItsPosition: boolean }) {
    this.name = name
    this.#namesItsPosition = namesItsPosition
  }

  get highest(): number {
    return this.#highest
  }

  /** Whether it was told that it misses something, and nothing since. */
  get isExcused(): boolean {
    return this.#excused
  }

  #fail(what: string): void {
    const joins = `the last joins were ${this.#joins.join(', ')}`
    if (this.tallies.wrong.length < 5) this.tallies.wrong.push(`${clockTime()} ${this.name}: ${what}; ${joins}`)
  }

  /** What a join said of the client: its number, by which servers tell who comes back, or the position that it named. */
  joining(word: string): void {
    this.#joins = [...this.#joins.slice(-2), `${word} after ${this.#highest}`]
  }

  connected(): void {
    this.#last = undefined
    this.#asked = []
  }

  /**
   * The server asks whether everything so far has come, and is answered. The answer before this one has surely come, and says that everything has
   * come that was complete when that was asked for: what had come by the question before.
   */
  acknowledged(): void {
    const [first, second] = this.#asked
    if (first !== undefined && second !== undefined) {
      this.#acknowledged = Math.max(this.#acknowledged, first)
      const atMs = performance.now()
      this.#history = [...this.#history.filter((each) => atMs - each.atMs < keptMs), { atMs, number: this.#acknowledged }]
      this.#asked = [second]
    }
    this.#asked = [...this.#asked, this.#highest]
  }

  /** A server was killed: what was acknowledged to it since then may be written nowhere. */
  forgive(sinceMs: number): void {
    this.#acknowledged = this.#history.findLast(({ atMs }) => atMs < sinceMs)?.number ?? 0
    this.#history = this.#history.filter(({ atMs }) => atMs < sinceMs)
    this.#asked = []
  }

  gap(why: string): void {
    this.tallies.gaps++
    if (this.tallies.announced.length < 20) this.tallies.announced.push(`${clockTime()} after ${this.#highest}: ${why}`)
    this.#excused = true
  }

  take(number: number, body: string): void {
    if (body !== `row ${number}`) this.#fail(`change ${number} has the values of another: ${body.slice(0, 100)}`)
    this.tallies.told++
    if (this.#last !== undefined && !this.#excused && number !== this.#last + 1)
      this.#fail(
        `${number} came after ${this.#last} on one connection${number > this.#last ? ', and nothing was announced' : ''}`,
      )
    if (number <= this.#highest) this.#repeated(number)
    else if (number > this.#highest + 1 && !this.#excused)
      this.#fail(
        `${this.#highest + 1} to ${number - 1} are lost, and nothing was announced; the last joins were ${this.#joins.join(', ')}`,
      )
    if (number > this.#highest) this.#excused = false
    this.#highest = Math.max(this.#highest, number)
    this.#last = number
  }

  #repeated(number: number): void {
    this.tallies.again++
    if (this.#namesItsPosition) this.#fail(`${number} was told twice, although the client had named its position`)
    else if (this.#last !== undefined && number <= this.#last) this.#fail(`${number} was told twice on one connection`)
    else if (number <= this.#acknowledged)
      this.#fail(`${number} was told again, and everything up to ${this.#acknowledged} had been acknowledged`)
  }
}
