import type { MoveState } from 'tidemark/admin'

const words: Readonly<Record<MoveState, string>> = {
  planned: 'Planned',
  copying: 'Copying',
  copied: 'Copied once',
  following: 'Following the file',
  cuttingOver: 'Cutting over',
  mirroring: 'Cut over, mirroring back',
  rollingBack: 'Rolling back',
  rolledBack: 'Rolled back',
  finished: 'Finished',
  aborted: 'Aborted',
}

/** A state of a move as people say it. */
export const stateWord = (state: string): string => (words as Readonly<Record<string, string>>)[state] ?? state
