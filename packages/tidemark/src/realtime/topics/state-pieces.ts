import type { CountEntry, MemberEntry } from './frame.js'

const pieceBytes = 128 * 1024

interface Piece {
  readonly first: boolean
  readonly last: boolean
  readonly members: readonly MemberEntry[]
  readonly counts: readonly CountEntry[]
}

/** Cuts a state into pieces of bounded size. */
export class StatePieces {
  readonly #give: (piece: Piece) => void
  #first = true
  #members: MemberEntry[] = []
  #counts: CountEntry[] = []
  #bytes = 0

  constructor(give: (piece: Piece) => void) {
    this.#give = give
  }

  member(entry: MemberEntry): void {
    this.#members.push(entry)
    this.#grow(JSON.stringify(entry).length)
  }

  count(entry: CountEntry): void {
    this.#counts.push(entry)
    this.#grow(entry[0].length + 10)
  }

  end(): void {
    this.#cut(true)
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes >= pieceBytes) this.#cut(false)
  }

  #cut(last: boolean): void {
    this.#give({ first: this.#first, last, members: this.#members, counts: this.#counts })
    this.#first = false
    this.#members = []
    this.#counts = []
    this.#bytes = 0
  }
}
