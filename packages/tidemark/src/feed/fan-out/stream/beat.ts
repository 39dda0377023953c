import { compareIds, type EntryId, formatId, parseId } from './entry-id.js'

/**
 * A sign of life of the reader, and the proof of freshness that it had then. Its id is `<term of the reader>-<number of the beat>`.
 *
 * Two machines share no monotonic clock, so the proof's moment is told as a distance from an earlier beat, at the moment when the reader had
 * heard that Redis had it. A node that knows when it asked and that beat was not there yet knows a moment of its own clock before it.
 */
export interface Beat {
  readonly id: EntryId
  /** Undefined until the reader has a proof, and an acknowledged beat to measure from. */
  readonly proof: BeatProof | undefined
  /** The reader goes, and leaves its place to whoever is first. */
  readonly bye: boolean
}

export interface BeatProof {
  /** The earlier beat. */
  readonly from: EntryId
  /** From its acknowledgement until the moment of the proof; below zero where the proof is older. */
  readonly distanceMs: number
  /** Everything up to here was published. */
  readonly number: bigint
  /** The newest entry at that time: who has not read it has not read what the proof speaks of. */
  readonly top: EntryId
}

export type BeatFields = readonly string[]

export const beatFields = ({ proof, bye }: Omit<Beat, 'id'>): BeatFields => [
  ...(proof
    ? ['from', formatId(proof.from), 'ms', String(proof.distanceMs), 'number', String(proof.number), 'top', formatId(proof.top)]
    : []),
  ...(bye ? ['bye', '1'] : []),
  'v',
  '1',
]

/** Undefined for what is no beat. */
export const parseBeat = (idText: string, fields: ReadonlyMap<string, string>): Beat | undefined => {
  const id = parseId(idText)
  if (!id) return undefined
  const from = parseId(fields.get('from') ?? '')
  const top = parseId(fields.get('top') ?? '')
  const distanceMs = Number(fields.get('ms') ?? Number.NaN)
  const number = /^\d{1,20}$/.test(fields.get('number') ?? '') ? BigInt(fields.get('number') ?? 0) : undefined
  const whole = from && top && number !== undefined && Number.isFinite(distanceMs)
  return { id, bye: fields.has('bye'), proof: whole ? { from, top, distanceMs, number } : undefined }
}

interface Sight {
  /** The newest beat that was there; undefined where there was none. */
  readonly newest: EntryId | undefined
  /** When that was asked: the answer is of no earlier moment. */
  askedAt: number
}

const keptSights = 64

/** Translates the moments of a reader into those of this node's monotonic clock, never to a later one. */
export class BeatClock {
  #sights: Sight[] = []

  /** Redis was asked at `askedAt`, and then the newest beat was that one. */
  saw(newest: EntryId | undefined, askedAt: number): void {
    const latest = this.#sights.at(-1)
    const same = latest && (newest && latest.newest ? compareIds(newest, latest.newest) === 0 : newest === latest.newest)
    if (same) {
      latest.askedAt = Math.max(latest.askedAt, askedAt)
      return
    }
    this.#sights.push({ newest, askedAt })
    if (this.#sights.length > keptSights) this.#sights.shift()
  }

  /** A moment of this clock at which everything up to the proof's number had been published; undefined where nothing is known of it. */
  momentOf({ from, distanceMs }: BeatProof): number | undefined {
    const before = this.#sights.findLast(({ newest }) => !newest || compareIds(newest, from) < 0)
    return before && before.askedAt + distanceMs
  }
}
