/** A small generator of random numbers from 0 to 1 (mulberry32), so that a run can be repeated. */
export type Dice = () => number

export const diceOf = (seed: number): Dice => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A whole number from `min` to `max`. */
export const between = (dice: Dice, min: number, max: number): number => min + Math.floor(dice() * (max - min + 1))

export const oneOf = <T>(dice: Dice, values: readonly T[]): T => values[Math.floor(dice() * values.length)]!
