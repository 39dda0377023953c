import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BeatClock, type BeatProof, beatFields, parseBeat } from './beat.js'
import type { EntryId } from './entry-id.js'

const fieldsOf = (flat: readonly string[]) =>
  new Map(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] as const] : [])))

describe('a beat', () => {
  test('is read as it was written', () => {
    const bits = fc.bigInt({ min: 1n, max: 2n ** 63n })
    const id: fc.Arbitrary<EntryId> = fc.record({ number: bits, ordinal: bits })
    const proof: fc.Arbitrary<BeatProof> = fc.record({
      from: id,
      top: id,
      number: bits,
      distanceMs: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }).map((ms) => ms + 0),
    })
    fc.assert(
      fc.property(fc.option(proof, { nil: undefined }), fc.boolean(), (given, bye) => {
        const read = parseBeat('12-3', fieldsOf(beatFields({ proof: given, bye })))
        expect(read?.id).toEqual({ number: 12n, ordinal: 3n })
        expect(read?.bye).toBe(bye)
        if (given)
          expect(read?.proof).toMatchObject({
            from: { ...given.from },
            top: { ...given.top },
            number: given.number,
            distanceMs: given.distanceMs,
          })
        else expect(read?.proof).toBeUndefined()
      }),
    )
    expect(parseBeat('nonsense', new Map())).toBeUndefined()
    expect(
      parseBeat(
        '1-1',
        new Map([
          ['from', '1-1'],
          ['ms', 'soon'],
          ['number', '1'],
          ['top', '0-0'],
        ]),
      )?.proof,
    ).toBeUndefined()
  })
})

/**
 * A reader, Redis and a tail in simulated time. Messages take any time, either process may stand still between any two steps, and the two
 * monotonic clocks have nothing to do with each other.
 */
interface Step {
  /** Until the command reaches Redis, until its answer is back, and before the next. */
  readonly thereMs: number
  readonly backMs: number
  readonly pauseMs: number
  /** Between the sampling of the proof and the sending of the beat. */
  readonly holdMs: number
}

const duration = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 20_000 }))
const steps = fc.array(fc.record<Step>({ thereMs: duration, backMs: duration, pauseMs: duration, holdMs: duration }), {
  minLength: 3,
  maxLength: 25,
})

describe('FEED-3 S5: the moment of a proof', () => {
  test('is never taken for a later one, whatever the network, the processes and their clocks do', () => {
    let known = 0
    fc.assert(
      fc.property(steps, steps, fc.integer({ min: -1e6, max: 1e6 }), (beats, looks, skew) => {
        // The reader: beats that Redis has from some moment on, each with a proof told from the latest acknowledged beat.
        const made: { id: EntryId; atRedis: number; proof: BeatProof | undefined; asOf: number }[] = []
        let now = 0
        let acknowledged: { id: EntryId; at: number } | undefined
        beats.forEach(({ thereMs, backMs, pauseMs, holdMs }, i) => {
          const asOf = now
          const from = acknowledged
          now += holdMs
          const id = { number: 1n, ordinal: BigInt(i + 1) }
          const proof = from && { from: from.id, distanceMs: asOf - from.at, number: 1n, top: { number: 0n, ordinal: 0n } }
          made.push({ id, atRedis: now + thereMs, proof, asOf })
          now += thereMs + backMs
          acknowledged = { id, at: now }
          now += pauseMs
        })
        // The tail: asks for the newest, at its own time.
        const clock = new BeatClock()
        const tailTime = (real: number) => real + skew
        let real = 0
        for (const { thereMs, backMs, pauseMs } of looks) {
          const askedAt = tailTime(real)
          const atRedis = real + thereMs
          const there = made.filter((beat) => beat.atRedis <= atRedis)
          clock.saw(there.at(-1)?.id, askedAt)
          for (const { proof, asOf } of there) {
            const moment = proof && clock.momentOf(proof)
            if (moment === undefined) continue
            known += 1
            expect(moment).toBeLessThanOrEqual(tailTime(asOf))
          }
          real += thereMs + backMs + pauseMs
        }
      }),
      { numRuns: 500 },
    )
    expect(known).toBeGreaterThan(500)
  })

  test('is at most a beat or two behind where nothing is slow', () => {
    const clock = new BeatClock()
    const beatMs = 100
    let moment: number | undefined
    for (let i = 1; i <= 20; i++) {
      const at = i * beatMs
      clock.saw({ number: 1n, ordinal: BigInt(i - 1) }, at - beatMs + 1)
      moment = clock.momentOf({
        from: { number: 1n, ordinal: BigInt(i - 1) },
        distanceMs: beatMs,
        number: 1n,
        top: { number: 0n, ordinal: 0n },
      })
    }
    expect(moment).toBeGreaterThan(20 * beatMs - 2 * beatMs)
  })

  test('is unknown of a beat that was there before anybody looked', () => {
    const clock = new BeatClock()
    const proof = (ordinal: bigint): BeatProof => ({
      from: { number: 1n, ordinal },
      distanceMs: 0,
      number: 1n,
      top: { number: 0n, ordinal: 0n },
    })
    clock.saw({ number: 1n, ordinal: 5n }, 10)
    expect(clock.momentOf(proof(5n))).toBeUndefined()
    expect(clock.momentOf(proof(6n))).toBe(10)
    clock.saw({ number: 1n, ordinal: 5n }, 20)
    expect(clock.momentOf(proof(6n))).toBe(20)
  })
})
