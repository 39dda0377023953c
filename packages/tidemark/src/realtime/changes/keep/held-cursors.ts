import type { Position } from '../../../feed/position.js'

/** A place that this server holds: of a live socket, or not written yet. */
export interface HeldCursor {
  readonly key: string
  readonly member: string
  position: Position
  number: number
  state: 'live' | 'cut' | 'ended'
  /** Its row was there once: where it is no more, somebody has taken it. */
  isWritten: boolean
  seenAt: number
}

const nobody: readonly never[] = []

/** By their keys. There are many, and mostly one of each: those cost little. Arrays are made as long as they have to be. */
export class HeldCursors {
  readonly #byKey = new Map<string, HeldCursor | readonly HeldCursor[]>()

  of(key: string): readonly HeldCursor[] {
    const held = this.#byKey.get(key) ?? nobody
    return 'member' in held ? [held] : held
  }

  has({ key, member }: Pick<HeldCursor, 'key' | 'member'>): boolean {
    return this.of(key).some((held) => held.member === member)
  }

  add(held: HeldCursor): void {
    const others = this.of(held.key)
    this.#byKey.set(held.key, others.length === 0 ? held : others.concat(held))
  }

  delete({ key, member }: Pick<HeldCursor, 'key' | 'member'>): void {
    const left = this.of(key).filter((held) => held.member !== member)
    const [first] = left
    if (first === undefined) this.#byKey.delete(key)
    else this.#byKey.set(key, left.length === 1 ? first : left)
  }

  *all(): Generator<HeldCursor, void, undefined> {
    for (const key of this.#byKey.keys()) yield* this.of(key)
  }
}
