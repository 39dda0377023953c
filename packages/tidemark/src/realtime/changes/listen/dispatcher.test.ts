import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Relation } from '../../../feed/feed.js'
import type { Position } from '../../../feed/position.js'
import { parseSnapshot } from '../../../feed/sources/wal/snapshot.js'
import { createFakeClock } from '../../../testing/fake-clock.js'
import { propertyRuns } from '../../../testing/property-runs.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import { until } from '../../../time/until.js'
import type { ChangeListener, Gap, VisibleChange } from '../../realtime.js'
import { ChangeRing } from '../keep/change-ring.js'
import { RelationFacts } from '../values/relation-facts.js'
import { type Beholder, seesNew, undecided, type Verdict, type Visibility, type VisibilityQuestion } from '../visibility-port.js'
import type { Bound } from './binding-index.js'
import { Dispatcher } from './dispatcher.js'
import { ListenerState } from './listener-state.js'

const epoch = 'wal-test'
const relation: Relation = {
  oid: 1,
  schema: 'public',
  table: 'things',
  identity: 'default',
  columns: [
    { name: 'id', typeOid: 23, typeModifier: -1, isKey: true },
    { name: 'owner', typeOid: 25, typeModifier: -1, isKey: false },
  ],
}
const facts = new RelationFacts(
  relation,
  relation.columns.map(({ name }) => ({ name, type: undefined, toJson: JSON.stringify, prefix: `${JSON.stringify(name)}:` })),
  ['id'],
)
const columns = new Set(['id', 'owner'])
const at = (number: number, of = epoch): Position => ({ epoch: of, number: BigInt(number) })

type Judge = (beholder: Beholder, owner: string) => Verdict

/** Row security: a row is its owner's, and everybody's who is of the role `all`. */
const ownRows: Judge = ({ role, claims }, owner) => (role === 'all' || claims === owner ? seesNew : 0)

interface Judging {
  readonly judge?: Judge
  /** Before an answer to callers that row security counts for; at once where it gives nothing. */
  readonly delay?: () => Promise<void> | undefined
  /** Row security does not count for anybody, so that everybody may be answered at once. */
  readonly allOpen?: boolean
  readonly failed?: (beholder: Beholder) => string | undefined
}

const createVisibility = ({ judge = ownRows, delay, failed = () => undefined, allOpen = false }: Judging): Visibility => {
  const answer = ({ beholders, candidates }: VisibilityQuestion) => ({
    verdicts: candidates.map(({ change, beholders: own }) =>
      own.map((which) => judge(beholders[which] as Beholder, change.new?.[1] ?? '')),
    ),
    reasons: new Map<number, string>(),
    failed: new Map(beholders.flatMap((beholder, index) => (failed(beholder) ? [[index, failed(beholder) ?? ''] as const] : []))),
    readable: (role: string) => (role === 'all' || allOpen ? open : secured),
  })
  const open = { columns, rowSecurity: false }
  const secured = { columns, rowSecurity: true }
  return {
    judge: (question) => {
      const isOpen = question.beholders.every(({ role }) => role === 'all')
      const waiting = isOpen ? undefined : delay?.()
      return waiting ? waiting.then(() => answer(question)) : answer(question)
    },
    readable: async (role) => (role === 'all' ? open : secured),
  }
}

interface Witness extends ChangeListener {
  readonly told: number[]
  readonly gaps: Gap[]
  readonly passes: bigint[]
  readonly failures: string[]
}

const createWitness = (onPass: (position: Position, told: readonly number[]) => void = () => {}): Witness => {
  const told: number[] = []
  const gaps: Gap[] = []
  const passes: bigint[] = []
  const failures: string[] = []
  return {
    told,
    gaps,
    passes,
    failures,
    change: (change: VisibleChange) => void told.push(Number(change.record?.['id'])),
    gap: (gap) => void gaps.push(gap),
    passed: (position) => {
      passes.push(position.number)
      onPass(position, told)
    },
    failed: (reason) => void failures.push(reason),
  }
}

const setUp = (judging: Judging = {}, maxWaitingBytes = 1_000_000, clock: Clock = systemClock) => {
  const ring = new ChangeRing({ maxBytes: 1_000_000, maxAgeMs: 1_000_000 })
  ring.begin(at(0))
  const lags: number[] = []
  const dispatcher = new Dispatcher({
    ring,
    visibility: createVisibility(judging),
    ask: async () => [],
    maxWaitingBytes,
    clock,
    onGap: () => {},
    onTold: (lagMs) => void lags.push(lagMs),
    ended: () => {},
  })
  let next = 0
  let number = 0
  /** A transaction with a row for each owner; gives their ids. */
  const commit = (owners: readonly string[], xid = 0n, of = epoch): number[] => {
    number += 10
    const position = at(number, of)
    const entries = owners.map((owner, ordinal) => {
      next += 1
      const change = { kind: 'insert', relation, old: null, new: [String(next), owner] } as const
      const placed = { kind: 'row', position, ordinal, xid, committedAt: new Date(0), change, facts } as const
      return ring.append(placed, 100, 0)
    })
    ring.pass(position.number)
    dispatcher.dispatch(entries)
    return entries.map((_, index) => next - owners.length + index + 1)
  }
  const listen = (witness: ChangeListener, beholder: Beholder, from = ring.head as Position, ordinal?: number): ListenerState => {
    const state = new ListenerState({ listener: witness, beholder, from, ordinal, start: from })
    const bound: Bound<ListenerState> = {
      listener: state,
      binding: 0,
      event: '*',
      schema: 'public',
      table: 'things',
      tests: [],
      selection: undefined,
    }
    state.bounds = [bound]
    state.replaysFrom = ring.after(from, ordinal)
    dispatcher.add(state)
    return state
  }
  return {
    ring,
    dispatcher,
    lags,
    commit,
    listen,
    idle: () => until(() => dispatcher.waiting === 0 && !dispatcher.isBusy, { intervalMs: 1 }),
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('listeners', () => {
  it('RT-1, RT-2: are each told what they may see, in order and once, however long judging takes; what is passed is told', async () => {
    const owners = ['ann', 'bob', 'cat']
    const steps = fc.array(
      fc.oneof(
        { weight: 5, arbitrary: fc.record({ commit: fc.array(fc.constantFrom(...owners), { minLength: 1, maxLength: 3 }) }) },
        { weight: 2, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 3 }) }) },
        { weight: 2, arbitrary: fc.record({ join: fc.constantFrom('all', ...owners), back: fc.integer({ min: 0, max: 5 }) }) },
      ),
      { minLength: 5, maxLength: 40 },
    )
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1 }),
        fc.boolean(),
        async (script, delays, allOpen) => {
          let asked = 0
          const turns = async (count: number): Promise<void> => {
            for (let left = count; left > 0; left -= 1) await turn()
          }
          const delay = () => {
            asked += 1
            const count = delays[asked % delays.length] ?? 0
            return count === 0 ? undefined : turns(count)
          }
          const { ring, dispatcher, commit, listen, idle } = setUp({ delay, allOpen })
          const rows: { readonly id: number; readonly owner: string; readonly number: number }[] = []
          const joined: { readonly name: string; readonly from: number; readonly witness: Witness }[] = []
          const visible = (name: string, from: number, to = Number.POSITIVE_INFINITY): number[] =>
            rows.flatMap(({ id, owner, number }) =>
              number > from && number <= to && (name === 'all' || name === owner) ? [id] : [],
            )
          for (const step of script) {
            if ('commit' in step) {
              const number = Number(ring.head?.number ?? 0n) + 10
              // They are told as they are committed, so what is known of them is known before.
              const first = (rows.at(-1)?.id ?? 0) + 1
              rows.push(...step.commit.map((owner, index) => ({ id: first + index, owner, number })))
              commit(step.commit)
            } else if ('turns' in step) for (let left = step.turns; left > 0; left -= 1) await turn()
            else {
              const name = step.join
              const from = Math.max(0, Number(ring.head?.number ?? 0n) - step.back * 10)
              const witness = createWitness((position, told) => {
                expect(told.slice(0, visible(name, from, Number(position.number)).length)).toEqual(
                  visible(name, from, Number(position.number)),
                )
              })
              joined.push({ name, from, witness })
              listen(witness, name === 'all' ? { role: 'all', claims: '' } : { role: 'user', claims: name }, at(from))
            }
          }
          await idle()
          dispatcher.passAll()
          for (const { name, from, witness } of joined) {
            expect(witness.told).toEqual(visible(name, from))
            expect(witness.failures).toEqual([])
            expect(witness.gaps).toEqual([])
            const head = ring.head?.number ?? 0n
            if (head > BigInt(from)) expect(witness.passes.at(-1)).toBe(head)
            expect(witness.passes).toEqual([...witness.passes].sort((a, b) => Number(a - b)))
          }
          dispatcher.stop()
        },
      ),
      propertyRuns(150),
    )
  })

  it('R139: it is measured how long after its commit a change is told, but not where it is told again, or to nobody', async () => {
    const { dispatcher, lags, commit, listen, idle } = setUp({}, 1_000_000, { ...systemClock, now: () => 250 })
    commit(['ann'])
    const [live, back] = [createWitness(), createWitness()]
    listen(back, { role: 'user', claims: 'ann' }, at(0))
    await idle()
    expect([back.told, lags]).toEqual([[1], []])
    listen(live, { role: 'all', claims: '' })
    await idle()
    commit(['ann', 'bob'])
    await idle()
    expect(live.told).toEqual([2, 3])
    // Ann's row was told to two: at once to who sees all, and once judged to herself.
    expect(lags).toEqual([250, 250, 250])
    dispatcher.stop()
  })

  it('RT-3: whoever need not be judged does not wait for those who are', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { commit, listen, idle } = setUp({ delay: () => held })
    const [open, judged] = [createWitness(), createWitness()]
    listen(open, { role: 'all', claims: '' })
    listen(judged, { role: 'user', claims: 'ann' })
    await turn()
    commit(['ann'])
    await until(() => open.told.length === 1)
    commit(['ann'])
    expect(open.told).toEqual([1, 2])
    expect(judged.told).toEqual([])
    release()
    await idle()
    expect(judged.told).toEqual([1, 2])
  })

  it('RT-1: a caller whose policies fail is told so, and nobody else is harmed', async () => {
    const failed = ({ claims }: Beholder) => (claims === 'ann' ? 'its policies raise' : undefined)
    const { commit, listen, idle } = setUp({
      failed,
      delay: turn,
      judge: (one, owner) => (failed(one) ? undecided : ownRows(one, owner)),
    })
    const [ann, bob] = [createWitness(), createWitness()]
    listen(ann, { role: 'user', claims: 'ann' })
    listen(bob, { role: 'user', claims: 'bob' })
    await turn()
    commit(['ann', 'bob'])
    await idle()
    commit(['ann', 'bob'])
    await idle()
    expect([bob.told, bob.gaps, bob.failures]).toEqual([[2, 4], [], []])
    expect(ann.told).toEqual([])
    expect(ann.failures).toEqual(['its policies raise'])
    expect(ann.gaps[0]).toMatchObject({ reason: 'undecided', table: 'public.things' })
  })

  it('RT-1: what waits is judged for the caller that it is by then', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { dispatcher, commit, listen, idle } = setUp({ delay: () => held })
    const witness = createWitness()
    const state = listen(witness, { role: 'user', claims: 'ann' })
    await turn()
    commit(['ann', 'bob'])
    await turn()
    dispatcher.rebind(state, state.bounds, { role: 'user', claims: 'bob' })
    release()
    await idle()
    expect(witness.told).toEqual([2])
  })

  it('RT-2: a gap comes in place of what waited when the feed begins anew, and then what comes after', async () => {
    const { ring, dispatcher, commit, listen, idle } = setUp({ delay: turn })
    const witness = createWitness()
    listen(witness, { role: 'user', claims: 'ann' })
    await turn()
    commit(['ann'])
    ring.begin({ epoch: 'wal-other', number: 5n })
    dispatcher.restart({ epoch: 'wal-other', number: 5n }, 'It begins anew.')
    await idle()
    expect(witness.told).toEqual([])
    expect(witness.gaps).toEqual([{ reason: 'lost', position: { epoch: 'wal-other', number: 5n }, message: 'It begins anew.' }])
  })

  it('RT-2: what was committed by the time of a gap is not told again, however far back the feed begins', async () => {
    const { ring, dispatcher, commit, listen, idle } = setUp()
    const witness = createWitness()
    listen(witness, { role: 'all', claims: '' })
    await idle()
    ring.begin({ epoch: 'wal-other', number: 0n })
    const birth = { snapshot: parseSnapshot('7:7:'), at: 5 }
    dispatcher.restart({ epoch: 'wal-other', number: 0n }, 'It begins anew.', { start: at(25, 'wal-other'), birth })
    commit(['ann'], 5n, 'wal-other')
    commit(['ann'], 7n, 'wal-other')
    dispatcher.proven(5)
    commit(['ann'], 6n, 'wal-other')
    await idle()
    expect(witness.gaps).toMatchObject([{ reason: 'lost', position: at(25, 'wal-other') }])
    expect(witness.told).toEqual([2, 3])
    // Said once the client knows of the gap, and then only what comes after.
    expect(witness.passes).toEqual([25n, 30n])
  })

  it('RT-2: who was told more elsewhere goes on behind that when the feed begins anew, within a transaction too', async () => {
    const { ring, dispatcher, commit, listen, idle } = setUp()
    const [ahead, behind] = [createWitness(), createWitness()]
    const all: Beholder = { role: 'all', claims: '' }
    listen(ahead, all, at(30), 0)
    listen(behind, all)
    commit(['ann'])
    await idle()
    ring.begin(at(15))
    dispatcher.restart(at(15), 'It begins anew.')
    commit(['ann'])
    commit(['ann', 'bob'])
    commit(['ann'])
    await idle()
    expect([ahead.told, ahead.gaps]).toEqual([[4, 5], []])
    expect(behind.told).toEqual([1, 2, 3, 4, 5])
    expect(behind.gaps).toMatchObject([{ reason: 'lost', position: at(15) }])
    expect(ahead.passes).toEqual([40n])
  })

  it('RT-3: what waits is bounded: beyond it a gap is told', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { dispatcher, commit, listen, idle } = setUp({ delay: () => held }, 1_000)
    const witness = createWitness()
    listen(witness, { role: 'user', claims: 'ann' })
    await turn()
    for (let count = 0; count < 30; count += 1) commit(['ann'])
    expect(witness.gaps.length).toBeGreaterThan(0)
    expect(witness.gaps.every(({ reason }) => reason === 'undecided')).toBe(true)
    expect(dispatcher.waiting).toBeLessThan(15)
    release()
    await idle()
    const told = witness.told.length
    commit(['ann'])
    await idle()
    expect(witness.told).toHaveLength(told + 1)
  })

  it('RT-1: is asked about again while Postgres cannot be asked, and nothing is told meanwhile', async () => {
    let down = true
    const delay = async (): Promise<void> => {
      await turn()
      if (down) throw new Error('Connection terminated')
    }
    const { commit, listen, idle } = setUp({ delay })
    const witness = createWitness()
    listen(witness, { role: 'user', claims: 'ann' })
    await turn()
    commit(['ann', 'bob'])
    await turn()
    await turn()
    commit(['ann'])
    expect(witness.told).toEqual([])
    down = false
    await idle()
    expect(witness.told).toEqual([1, 3])
  })

  it('RT-3: a burst waits for a client that reads, however its rows are judged, and nobody else waits', async () => {
    for (const beholder of [
      { role: 'all', claims: '' },
      { role: 'user', claims: 'ann' },
    ]) {
      const passes: (readonly [bigint, number])[] = []
      const { commit, listen, dispatcher, idle } = setUp({ delay: turn })
      const other = createWitness()
      const witness = createWitness((position, told) => void passes.push([position.number, told.length]))
      listen(other, { role: 'all', claims: '' })
      let read = 0
      listen({ ...witness, hasRoom: () => witness.told.length - read < 4 }, beholder)
      await idle()
      commit(['ann', 'ann'])
      commit(Array.from({ length: 20 }, () => 'ann'))
      commit(['ann'])
      await until(() => other.told.length === 23)
      await until(() => witness.told.length === 4)
      for (let left = 5; left > 0; left -= 1) await turn()
      expect(witness.told).toEqual([1, 2, 3, 4])
      while (witness.told.length < 23) {
        const before = witness.told.length
        read = before
        await until(() => witness.told.length > before, { intervalMs: 1 })
        expect(witness.told.length).toBeLessThanOrEqual(before + 4)
      }
      read = 23
      await idle()
      dispatcher.passAll()
      expect(witness.told).toEqual(Array.from({ length: 23 }, (_, index) => index + 1))
      expect(witness.gaps).toEqual([])
      // Nobody is said to have a transaction of which something waits.
      const lengths: Record<string, number> = { 10: 2, 20: 22, 30: 23 }
      for (const [number, length] of passes) expect(length).toBeGreaterThanOrEqual(lengths[String(number)] ?? 0)
      expect(passes.at(-1)).toEqual([30n, 23])
      commit(['ann'])
      await idle()
      expect(witness.told.at(-1)).toBe(24)
      dispatcher.stop()
    }
  })

  it('RT-3: a client that reads nothing for long is cut off', async () => {
    const clock = createFakeClock()
    const { commit, listen, idle } = setUp({}, undefined, clock)
    const witness = createWitness()
    let cut = 0
    listen({ ...witness, hasRoom: () => witness.told.length === 0, slow: () => void cut++ }, { role: 'all', claims: '' })
    await turn()
    commit(['ann', 'ann'])
    await until(() => witness.told.length === 1)
    await until(() => clock.sleeping > 0)
    await clock.advance(29_000)
    expect(cut).toBe(0)
    await clock.advance(2_000)
    await until(() => cut === 1)
    await idle()
    expect(witness.told).toEqual([1])
  })

  it('RT-3: who comes back is told again no faster than its client reads, and nobody else waits', async () => {
    const { commit, listen, dispatcher } = setUp()
    const [witness, other] = [createWitness(), createWitness()]
    const start = at(0)
    const all: Beholder = { role: 'all', claims: '' }
    listen(other, all)
    for (let count = 0; count < 50; count++) commit(['ann', 'bob'])
    let read = 0
    // It takes four changes until its client has read them.
    listen({ ...witness, hasRoom: () => witness.told.length - read < 4 }, all, start)
    await until(() => witness.told.length === 4)
    expect(dispatcher.isBusy).toBe(true)
    commit(['ann'])
    await until(() => other.told.length === 101)
    expect(witness.told).toEqual([1, 2, 3, 4])
    while (witness.told.length < 101) {
      const before = witness.told.length
      read = before
      await until(() => witness.told.length > before, { intervalMs: 1 })
      expect(witness.told.length).toBeLessThanOrEqual(before + 4)
    }
    expect(witness.told).toEqual(Array.from({ length: 101 }, (_, index) => index + 1))
    read = 101
    commit(['ann'])
    await until(() => witness.told.length === 102 && !dispatcher.isBusy)
    expect(witness.gaps).toEqual([])
  })
})
