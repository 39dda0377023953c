import type { MoveBoard, MoveState } from 'tidemark/admin'

const stepNames = ['plan', 'copy', 'follow', 'verify', 'cutover', 'rollback'] as const

export type StepName = (typeof stepNames)[number]

/** `open`: it can be done, and need not be. */
export type StepState = 'done' | 'current' | 'ahead' | 'open' | 'failed'

export interface Step {
  readonly name: StepName
  readonly title: string
  readonly state: StepState
  readonly detail: string
}

const titles: Readonly<Record<StepName, string>> = {
  plan: 'Plan',
  copy: 'Copy',
  follow: 'Follow',
  verify: 'Verify',
  cutover: 'Cut over',
  rollback: 'Roll back',
}

type Row = Readonly<Record<StepName, StepState>>

const row = (
  plan: StepState,
  copy: StepState,
  follow: StepState,
  verify: StepState,
  cutover: StepState,
  rollback: StepState,
): Row => ({
  plan,
  copy,
  follow,
  verify,
  cutover,
  rollback,
})

const following = ({ move, gates }: MoveBoard): Row => {
  const verified = (move?.checks.done ?? false) && move?.checks.differences === 0
  const failed = (move?.checks.differences ?? 0) > 0
  const ready = gates.length > 0 && gates.every(({ state }) => state === 'passed')
  const verify = failed ? 'failed' : verified ? 'done' : 'current'
  return row('done', 'done', ready ? 'done' : 'current', verify, ready ? 'current' : 'ahead', 'ahead')
}

const rows: Readonly<Record<Exclude<MoveState, 'following'>, Row>> = {
  planned: row('done', 'current', 'ahead', 'ahead', 'ahead', 'ahead'),
  copying: row('done', 'current', 'ahead', 'ahead', 'ahead', 'ahead'),
  copied: row('done', 'done', 'current', 'ahead', 'ahead', 'ahead'),
  cuttingOver: row('done', 'done', 'done', 'done', 'current', 'ahead'),
  mirroring: row('done', 'done', 'done', 'done', 'done', 'open'),
  rollingBack: row('done', 'done', 'done', 'done', 'done', 'current'),
  rolledBack: row('done', 'done', 'current', 'ahead', 'ahead', 'done'),
  finished: row('done', 'done', 'done', 'done', 'done', 'ahead'),
  aborted: row('current', 'ahead', 'ahead', 'ahead', 'ahead', 'ahead'),
}

const details: Readonly<Record<StepName, string>> = {
  plan: 'reads the file, changes nothing',
  copy: 'while the app goes on',
  follow: 'every change, as it comes',
  verify: 'every row, on both sides',
  cutover: 'a pause of seconds',
  rollback: 'open until you finish',
}

/** Where a move is, from plan to the way back. */
export const stepsOf = (board: MoveBoard, isPlanned: boolean): readonly Step[] => {
  const state = board.move?.state
  const isNew = state === undefined || state === 'finished' || state === 'aborted'
  const fresh = isPlanned ? row('done', 'current', 'ahead', 'ahead', 'ahead', 'ahead') : rows.aborted
  const states = state === 'following' ? following(board) : state === 'finished' ? rows.finished : isNew ? fresh : rows[state]
  return stepNames.map((name) => ({ name, title: titles[name], state: states[name], detail: details[name] }))
}
