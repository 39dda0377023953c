/** What one client was told, held against what was committed: numbers from 1 on, in the order of their commits. */
export interface Tallies {
  told: number
  /** Told again after a reconnect, where the client does not say where it was. */
  again: number
  /** Of them those that had been acknowledged: to a server that died, or to another one that had not written it down yet. */
  beyond: number
  gaps: number
  readonly wrong: string[]
}

export class Ledger {
  readonly name: string
  readonly tallies: Tallies = { told: 0, again: 0, beyond: 0, gaps: 0, wrong: [] }
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
  #pending = 0
  /** What was acknowledged may be known to nobody who is asked. */
  #forgiven: boolean

  /** `forgiven`: what one server is told of is not at once known to the others. */
  constructor(name: string, { namesItsPosition, forgiven }: { readonly namesItsPosition: boolean; readonly forgiven: boolean }) {
    this.name = name
    this.#forgiven = forgiven
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
    const time = new Date().toISOString().slice(11, 23)
    const joins = `the last joins were ${this.#joins.join(', ')}`
    if (this.tallies.wrong.length < 5) this.tallies.wrong.push(`${time} ${this.name}: ${what}; ${joins}`)
  }

  /** What a join said of the client: its number, by which servers tell who comes back, or the position that it named. */
  joining(word: string): void {
    this.#joins = [...this.#joins.slice(-2), `${word} after ${this.#highest}`]
  }

  connected(): void {
    this.#last = undefined
    this.#pending = this.#acknowledged
  }

  /** The server asked whether everything so far has come, and was answered. The answer before this one has surely come. */
  acknowledged(): void {
    this.#acknowledged = this.#pending
    this.#pending = this.#highest
  }

  /** A server died, or its database: what was acknowledged last may be written nowhere, and what was written before stays for minutes. */
  forgive(): void {
    this.#forgiven = true
  }

  gap(): void {
    this.tallies.gaps++
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
    else if (number > this.#acknowledged) return
    else if (this.#forgiven) this.tallies.beyond++
    else this.#fail(`${number} was told again, and everything up to ${this.#acknowledged} had been acknowledged`)
  }
}
