/** The faults by name, and which strikes next. */
import { UsageError } from '../../options.ts'
import { type Dice, oneOf } from '../random.ts'
import { appLocks } from './app-locks.ts'
import { everywhere, type Fault, type Phase } from './fault.ts'
import { postgresRestart, walsender } from './postgres-faults.ts'
import { redis } from './redis-faults.ts'
import { slotLimit } from './slot-limit.ts'

const clock: Fault = {
  phases: everywhere,
  strike: async ({ project, dice }) => {
    const seconds = project.clock.move(dice)
    return seconds === 0 ? 'set right' : `${seconds < 0 ? 'back' : 'ahead'} by ${Math.abs(seconds)} s`
  },
}

const faults = {
  'postgres-restart': postgresRestart,
  walsender,
  redis,
  'slot-limit': slotLimit,
  clock,
  'app-locks': appLocks,
} satisfies Readonly<Record<string, Fault>>

export type FaultName = keyof typeof faults | 'kill'
export const faultNames = ['kill', ...Object.keys(faults)] as readonly FaultName[]
export const faultOf = (name: Exclude<FaultName, 'kill'>): Fault => faults[name]

/** Raises for a name that is none. */
export const parseFaults = (text: string): readonly FaultName[] =>
  text.split(',').map((name) => {
    if ((faultNames as readonly string[]).includes(name)) return name as FaultName
    throw new UsageError(`${name} is no fault; there are ${faultNames.join(', ')}`)
  })

/** Three of ten are kills; of the others, that which a phase has seen least. */
export class NextFault {
  readonly #names: readonly FaultName[]
  readonly #chosen = new Map<string, number>()

  constructor(names: readonly FaultName[]) {
    this.#names = names
  }

  choose(phase: Phase, dice: Dice): FaultName {
    const others = this.#names.filter(
      (name): name is Exclude<FaultName, 'kill'> => name !== 'kill' && faults[name].phases.includes(phase),
    )
    const mayKill = this.#names.includes('kill') || others.length === 0
    if (others.length === 0 || (mayKill && dice() < 0.3)) return 'kill'
    const times = (name: FaultName): number => this.#chosen.get(`${name} ${phase}`) ?? 0
    const fewest = Math.min(...others.map(times))
    const name = oneOf(
      dice,
      others.filter((each) => times(each) === fewest),
    )
    this.#chosen.set(`${name} ${phase}`, times(name) + 1)
    return name
  }
}
