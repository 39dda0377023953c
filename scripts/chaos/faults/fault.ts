/** What may go wrong beside a kill of Tidemark's own processes. */
import type { Project } from '../project.ts'
import type { Dice } from '../random.ts'
import type { Tally } from '../tally.ts'

/** `mirroring` and `following`: while a conductor runs. `cutover` and `rollback`: while that command does. */
export type Phase = 'following' | 'cutover' | 'mirroring' | 'rollback'

export interface Storm {
  readonly project: Project
  readonly dice: Dice
  readonly tally: Tally
}

export interface Fault {
  /** Where it can be met at all. */
  readonly phases: readonly Phase[]
  /** It strikes while no command of the move runs. */
  readonly between?: boolean
  /** What it did, for the count; undefined where there was nothing to strike. */
  strike(storm: Storm, phase: Phase): Promise<string | undefined>
}

export const everywhere: readonly Phase[] = ['following', 'cutover', 'mirroring', 'rollback']
