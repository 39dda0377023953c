import type { MoveStatus } from '../../../move/status.js'

/** One thing that a switch asks for, before it lets itself be tried. */
export interface Gate {
  readonly name: 'holder' | 'file' | 'behind' | 'compared' | 'same' | 'rejects'
  readonly title: string
  /** `waiting` passes by itself. */
  readonly state: 'passed' | 'waiting' | 'refused'
  readonly detail: string
}

/** As long as a holder may be silent (move/live/holding.ts). */
const holderTimeoutMs = 10_000
/** What the pause of a switch can take in: it drains the rest with nobody writing. */
const drainable = { changes: 1_000, bytes: 4 * 1024 ** 2 } as const

const plural = (count: number, one: string): string => `${count.toLocaleString('en-US')} ${count === 1 ? one : `${one}s`}`

/** True while a process works on the move. */
export const isHeld = ({ holder }: Pick<MoveStatus, 'holder'>, nowMs: number): boolean =>
  holder?.seenAt != null && nowMs - Date.parse(holder.seenAt) < holderTimeoutMs

const holderGate = (move: MoveStatus, nowMs: number, title: string): Gate => {
  const held = isHeld(move, nowMs)
  const { holder } = move
  const detail = held && holder ? `Process ${holder.pid} on ${holder.host}` : 'Nobody works on this move: go on with it first.'
  return { name: 'holder', title, state: held ? 'passed' : 'refused', detail }
}

const sameGate = ({ checks: { differences } }: MoveStatus): Gate => ({
  name: 'same',
  title: 'No row differs',
  state: differences === 0 ? 'passed' : 'refused',
  detail:
    differences === 0 ? 'Both sides hold the same.' : `${plural(differences, 'row')} on record as different; see the mismatches.`,
})

const cutoverGates = (move: MoveStatus, nowMs: number): readonly Gate[] => {
  const { log, checks, tables, rejects, file } = move
  const behind = log?.behind ?? null
  return [
    holderGate(move, nowMs, 'The file is followed'),
    {
      name: 'file',
      title: 'The file is in reach',
      state: file === null ? 'refused' : 'passed',
      detail:
        file === null
          ? 'This server cannot read the file, or it is not the one that was followed.'
          : 'It is the one that was copied.',
    },
    {
      name: 'behind',
      title: 'Postgres has caught up',
      state: behind !== null && behind <= drainable.changes ? 'passed' : 'waiting',
      detail:
        behind === null
          ? 'Not known yet.'
          : behind === 0
            ? 'It has every change of the file.'
            : `${plural(behind, 'change')} behind.`,
    },
    {
      name: 'compared',
      title: 'Every table is compared',
      state: checks.done ? 'passed' : 'waiting',
      detail: `${checks.tablesDone} of ${plural(tables.length, 'table')}, ${plural(Number(checks.rowsChecked), 'row')} so far.`,
    },
    sameGate(move),
    {
      name: 'rejects',
      title: 'No row is left behind',
      state: rejects.unallowed === 0 ? 'passed' : 'refused',
      detail:
        rejects.unallowed === 0
          ? 'Every row was carried, or left out by choice.'
          : `${plural(rejects.unallowed, 'row')} could not be carried; see the rejects.`,
    },
  ]
}

const rollbackGates = (move: MoveStatus, nowMs: number): readonly Gate[] => {
  const { mirror, file } = move
  const behind = mirror?.behindBytes ?? null
  return [
    holderGate(move, nowMs, 'Postgres is mirrored'),
    {
      name: 'file',
      title: 'The file is in reach',
      state: file === null ? 'refused' : 'passed',
      detail: file === null ? 'This server cannot read the file.' : 'It is the one that was moved.',
    },
    {
      name: 'behind',
      title: 'The file has caught up',
      state: behind !== null && behind <= drainable.bytes ? 'passed' : 'waiting',
      detail: behind === null ? 'Not known yet.' : `${plural(behind, 'byte')} of the log are kept for it.`,
    },
    sameGate(move),
  ]
}

/** What stands between a move and its next switch; empty in states that have none. The switch itself looks again, more closely. */
export const gatesOf = (move: MoveStatus, nowMs: number): readonly Gate[] => {
  if (move.state === 'following') return cutoverGates(move, nowMs)
  return move.state === 'mirroring' ? rollbackGates(move, nowMs) : []
}
