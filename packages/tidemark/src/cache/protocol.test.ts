import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PropertyRuns, propertyRuns } from '../testing/property-runs.js'
import { type Broken, play, type Scene, type Turns } from './testing/history.js'

const turnsOf = (scheduler: fc.Scheduler): Turns => ({
  schedule: (what) => scheduler.schedule(Promise.resolve(), what),
  waiting: () => scheduler.count(),
  next: () => scheduler.waitNext(1),
})

const node = fc.nat(2)
const sceneOf = (linearizable: boolean, given: Partial<Scene> = {}) =>
  fc
    .record({
      rule: fc.constantFrom('key' as const, 'whole' as const, 'tag' as const, 'value' as const),
      nodes: fc.constantFrom(2, 3),
      readers: fc.array(fc.record({ node, times: fc.constantFrom(1, 2), many: fc.boolean() }), { minLength: 1, maxLength: 3 }),
      writers: fc.array(fc.record({ node, rollsBack: fc.nat(4).map((n) => n === 0), times: fc.constantFrom(1, 1, 2) }), {
        minLength: 1,
        maxLength: 2,
      }),
      others: fc.constantFrom(0, 0, 1, 2),
      warm: fc.subarray([0, 1, 2]),
      inPieces: fc.boolean(),
      pauses: fc.array(fc.constantFrom(100, 600, 1300), { maxLength: 2 }),
      proofs: fc.nat(3),
      lag: fc.constantFrom(0, 0, 3, 20),
    })
    .map((scene): Scene => ({ ...scene, linearizable, standby: false, ...given }))

type SceneOf = ReturnType<typeof sceneOf>

/** A scene and an order of its steps in which something was once seen to go wrong, as fast-check names them. */
interface Known {
  readonly seed: number
  readonly path: string
}

/** Plays scenes until one goes wrong; gives what went wrong in it. */
const search = async (scenes: SceneOf, broken: Broken, options: PropertyRuns & Partial<Known>): Promise<readonly string[]> => {
  let found: readonly string[] = []
  const wanted = fc.asyncProperty(scenes, fc.scheduler(), async (scene, scheduler) => {
    const problems = await play(scene, turnsOf(scheduler), broken)
    if (problems.length > 0) found = problems
    return problems.length === 0
  })
  const { failed, errorInstance } = await fc.check(wanted, { ...options, endOnFailure: true })
  if (failed && found.length === 0) throw errorInstance
  return found
}

const sound = (scenes: SceneOf, broken: Broken, numRuns: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(scenes, fc.scheduler(), async (scene, scheduler) => {
      expect(await play(scene, turnsOf(scheduler), broken)).toEqual([])
    }),
    propertyRuns(numRuns),
  )

describe('the protocol, in any order of its steps', () => {
  it('CACHE-5: reads of linearizable entries see every write that has returned, and never go back', async () => {
    await sound(sceneOf(true), {}, 90)
  })

  it('CACHE-5: a read with the position of a write sees it, and nothing stale is left anywhere', async () => {
    await sound(sceneOf(false), {}, 90)
  })

  it('CACHE-1: keeps nothing stale where the feed is ahead of what is visible, as while a standby has to answer first', async () => {
    await sound(sceneOf(false, { rule: 'key' }), { feed: { runsAhead: true } }, 70)
  })

  it('CACHE-1: keeps nothing stale by leases alone, as where the fences are lost', async () => {
    await sound(sceneOf(false, { rule: 'key' }), { redis: { withoutFence: true } }, 70)
  })

  it('S11: keeps nothing stale where a standby answers loads', async () => {
    await sound(sceneOf(false, { standby: true }), {}, 70)
  })
})

/** What is seen to go wrong as soon as one rule is not kept: else the properties above would prove nothing. */
const breaks: readonly (readonly [rule: string, scenes: SceneOf, broken: Broken, known?: Known])[] = [
  [
    'a fill needs its lease, or has seen what is fenced',
    sceneOf(false, { rule: 'key' }),
    { redis: { withoutLease: true, withoutFence: true } },
  ],
  [
    'a fill has seen what is fenced',
    sceneOf(false, { rule: 'key' }),
    { redis: { withoutFence: true }, feed: { runsAhead: true } },
    { seed: 495551024, path: '355' },
  ],
  [
    'a purge takes leases along',
    sceneOf(false, { rule: 'key' }),
    { redis: { purgesValuesOnly: true } },
    { seed: 1097988446, path: '57' },
  ],
  ['a purge takes values along', sceneOf(false, { rule: 'key' }), { redis: { purgesLeasesOnly: true } }],
  ['Redis is purged before others hear', sceneOf(false, { rule: 'key' }), { feed: { publishesFirst: true } }],
  [
    'a change is told when it is visible',
    sceneOf(false, { rule: 'whole' }),
    { feed: { runsAhead: true } },
    { seed: -104931675, path: '2962' },
  ],
  [
    'a change detaches the load under way',
    sceneOf(false, { rule: 'key' }),
    { node: { keepsFlights: true } },
    { seed: 426797006, path: '102' },
  ],
  ['what a tag voids is not kept', sceneOf(false, { rule: 'tag' }), { node: { keepsVoid: true } }],
  [
    'who comes after the change of a tag joins nothing of it',
    sceneOf(false, { rule: 'tag' }),
    { node: { doubtsNothing: true } },
    { seed: 398186194, path: '177' },
  ],
  [
    'nor where only the value tells its tags',
    sceneOf(false, { rule: 'value' }),
    { node: { doubtsNothing: true } },
    { seed: 672635099, path: '272' },
  ],
  [
    'what Redis gives is looked at again',
    sceneOf(false, { rule: 'key' }),
    { node: { promotesBlindly: true } },
    { seed: 205817777, path: '1213' },
  ],
  ['a value tells as of when it was loaded', sceneOf(false, { rule: 'whole' }), { node: { forgetsAsOf: true } }],
  ['a tag tells since when it is void', sceneOf(false, { rule: 'tag' }), { node: { forgetsAsOf: true } }],
  ['a position is of after the commit', sceneOf(false), { node: { tokensFromBefore: true } }],
  ['a write waits until all have heard', sceneOf(true), { node: { announcesToNobody: true } }],
  ['nothing is answered while a write is announced', sceneOf(true), { node: { holdsNothing: true } }],
  ['an end counts after what was changed', sceneOf(true), { node: { endsBeforeDrops: true } }],
  ['a node without a proof does not answer', sceneOf(true), { node: { trustsSilence: true } }, { seed: -1704384340, path: '99' }],
]

describe.each(breaks.map(([rule, scenes, broken, known]) => ({ rule, scenes, broken, known })))(
  'where it is broken that $rule',
  ({ scenes, broken, known }) => {
    it('something stale is seen', { timeout: 120_000 }, async () => {
      // Rare ones take minutes to come upon; where the known one is known no more, because a step was added, they are looked for again.
      const again = known && (await search(scenes, broken, { ...known, numRuns: 1 }))
      expect(again?.length ? again : await search(scenes, broken, propertyRuns(20_000))).not.toEqual([])
    })
  },
)
