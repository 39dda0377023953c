import { describe, expect, expectTypeOf, it } from 'vitest'
import { type MoveState, mayFollow, type NextState, transitions, writerOf } from './live-state.js'

const states = Object.keys(transitions) as MoveState[]

/** Every step that exists, written down a second time: whoever adds one has to say so twice. */
const steps = new Set([
  'planned copying',
  'planned aborted',
  'copying copied',
  'copying following',
  'copying aborted',
  'copied following',
  'copied aborted',
  'following cuttingOver',
  'following aborted',
  'cuttingOver following',
  'cuttingOver mirroring',
  'mirroring rollingBack',
  'mirroring finished',
  'rollingBack mirroring',
  'rollingBack rolledBack',
  'rolledBack following',
  'rolledBack aborted',
])

describe('MOVE-2: the states of a live move', () => {
  it.each(states.flatMap((from) => states.map((to) => [from, to] as const)))('from %s to %s', (from, to) => {
    expect(mayFollow(from, to)).toBe(steps.has(`${from} ${to}`))
  })

  it('come from planned, all of them, and end in finished or aborted', () => {
    const reached = new Set<MoveState>(['planned'])
    for (const state of reached) for (const next of transitions[state]) reached.add(next)
    expect([...reached].sort()).toEqual([...states].sort())
    expect(states.filter((state) => transitions[state].length === 0)).toEqual(['finished', 'aborted'])
  })

  it('let nobody write while a switch is under way, and else exactly one store', () => {
    expect(Object.fromEntries(states.map((state) => [state, writerOf(state)]))).toEqual({
      planned: 'sqlite',
      copying: 'sqlite',
      copied: 'sqlite',
      following: 'sqlite',
      cuttingOver: null,
      mirroring: 'postgres',
      rollingBack: null,
      rolledBack: 'sqlite',
      finished: 'postgres',
      aborted: 'sqlite',
    })
  })

  it('never hand the writer from one store to the other without a state in which neither has it', () => {
    for (const from of states)
      for (const to of transitions[from]) {
        const [before, after] = [writerOf(from), writerOf(to)]
        expect(before !== null && after !== null && before !== after, `${from} → ${to}`).toBe(false)
      }
  })

  it('compile only along the steps', () => {
    expectTypeOf<NextState<'following'>>().toEqualTypeOf<'cuttingOver' | 'aborted'>()
    expectTypeOf<NextState<'finished'>>().toEqualTypeOf<never>()
  })
})
