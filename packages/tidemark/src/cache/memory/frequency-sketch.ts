const rows = 4
const most = 15
const leastWidth = 64
/** After so many uses for each slot all counts are halved: what was popular once does not stay for ever. */
const usesUntilHalved = 10

/** Odd multipliers, so that what collides in one row does not in the next. */
const multipliers = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const

/**
 * About how often keys were used lately: a count-min sketch with conservative update and halving (Cormode and Muthukrishnan 2005; Einziger, Friedman
 * and Manes 2017). It counts up to 15, never too low but for the halving, and takes 8 to 16 bytes for a slot.
 */
export class FrequencySketch {
  #width = leastWidth
  #counts = new Uint8Array(rows * leastWidth)
  #uses = 0

  /** Makes it as wide as so many slots need. What was counted stays. */
  fit(slots: number): void {
    while (slots * 2 > this.#width) this.#double()
    while (slots * 16 < this.#width && this.#width > leastWidth) this.#halve()
  }

  frequency(hash: number): number {
    let least = most
    for (let row = 0; row < rows; row++) least = Math.min(least, this.#counts[this.#at(row, hash)]!)
    return least
  }

  add(hash: number): void {
    const least = this.frequency(hash)
    if (least < most) {
      for (let row = 0; row < rows; row++) {
        const at = this.#at(row, hash)
        if (this.#counts[at] === least) this.#counts[at] = least + 1
      }
    }
    if (++this.#uses >= (usesUntilHalved * this.#width) / 2) this.#age()
  }

  clear(): void {
    this.#width = leastWidth
    this.#counts = new Uint8Array(rows * leastWidth)
    this.#uses = 0
  }

  #at(row: number, hash: number): number {
    const mixed = Math.imul(hash, multipliers[row]!)
    return row * this.#width + ((mixed ^ (mixed >>> 15)) & (this.#width - 1))
  }

  #age(): void {
    for (let at = 0; at < this.#counts.length; at++) this.#counts[at]! >>>= 1
    this.#uses >>>= 1
  }

  /** What fell on x falls on x or x + width now: both begin with what x had. */
  #double(): void {
    const wider = new Uint8Array(2 * this.#counts.length)
    for (let row = 0; row < rows; row++) {
      const counts = this.#counts.subarray(row * this.#width, (row + 1) * this.#width)
      wider.set(counts, 2 * row * this.#width)
      wider.set(counts, (2 * row + 1) * this.#width)
    }
    this.#counts = wider
    this.#width *= 2
  }

  /** Two that fall together now each had at most the larger. */
  #halve(): void {
    const half = this.#width / 2
    const narrower = new Uint8Array(rows * half)
    for (let row = 0; row < rows; row++) {
      for (let at = 0; at < half; at++) {
        const from = row * this.#width + at
        narrower[row * half + at] = Math.max(this.#counts[from]!, this.#counts[from + half]!)
      }
    }
    this.#counts = narrower
    this.#width = half
  }
}

/** FNV-1a over the units of a string. */
export const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash ^ (hash >>> 16)
}
