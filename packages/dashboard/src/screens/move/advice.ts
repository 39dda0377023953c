import type { JobView, MoveBoard } from 'tidemark/admin'
import { planJobOf } from './plan-report.tsx'

/** What can be done with a move. */
export type MoveAction = 'plan' | 'copy' | 'replace' | 'goOn' | 'cutover' | 'settle' | 'rollback' | 'finish' | 'abort' | 'reads'

export interface Advice {
  readonly title: string
  readonly text: string
  /** What to do now; undefined where there is nothing but to wait. */
  readonly primary: MoveAction | undefined
  /** Why it cannot be done yet. */
  readonly blocked?: string
  readonly others: readonly MoveAction[]
}

const isRunning = (jobs: readonly JobView[], ...kinds: readonly string[]): boolean =>
  jobs.some(({ kind, state }) => state === 'running' && kinds.includes(kind))

const begin = ({ jobs }: MoveBoard): Advice => {
  const failed = jobs[0]?.kind === 'move.follow' && jobs[0].error?.code === 'TM_MOVE_TARGET_NOT_EMPTY'
  if (failed)
    return {
      title: 'The target already holds tables of these names',
      text: 'Nothing was touched. Drop them and copy anew, or plan the move into another schema on the command line.',
      primary: 'replace',
      others: ['plan'],
    }
  if (isRunning(jobs, 'move.plan'))
    return {
      title: 'Reading the file',
      text: 'Every value is looked at, to foretell what could not be carried.',
      primary: undefined,
      others: [],
    }
  if (!planJobOf(jobs))
    return {
      title: 'Make the plan',
      text: 'It reads the file and says what becomes of every table and column, and what stands in the way. It changes nothing.',
      primary: 'plan',
      others: [],
    }
  return {
    title: 'Look at the plan, then copy and follow',
    text: 'The application keeps writing to its file meanwhile. Triggers note what it changes; abort takes everything back.',
    primary: 'copy',
    others: ['plan'],
  }
}

const following = ({ gates, isHeld }: MoveBoard): Advice => {
  const others: readonly MoveAction[] = ['reads', 'abort']
  if (!isHeld)
    return {
      title: 'Nobody follows the file',
      text: 'Nothing is lost: the file notes what changes. Go on, and it is caught up with.',
      primary: 'goOn',
      others,
    }
  const open = gates.filter(({ state }) => state !== 'passed')
  if (open.length === 0)
    return {
      title: 'Ready to cut over',
      text: 'Every row is compared and Postgres is up to date. The switch refuses writes for a moment, drains, compares once more, and undoes itself where a gate fails.',
      primary: 'cutover',
      others,
    }
  const refused = open.some(({ state }) => state === 'refused')
  return {
    title: refused ? 'The cutover is refused as things stand' : 'Following and comparing',
    text: refused
      ? 'The gates below name what has to be put right. The application goes on with its file.'
      : 'The cutover opens by itself when the last gate has passed. The application goes on with its file.',
    primary: 'cutover',
    blocked: open.map(({ title }) => title).join(', '),
    others,
  }
}

/** What to do now, in words that need no manual. */
export const adviceOf = (board: MoveBoard): Advice => {
  const { move, isHeld, jobs } = board
  if (!move) return begin(board)
  const isBusy = isHeld || isRunning(jobs, 'move.follow')
  switch (move.state) {
    case 'planned':
    case 'copying':
      return isBusy
        ? {
            title: 'Copying',
            text: 'The application keeps writing to its file. What it changes is noted, and followed after the copy.',
            primary: undefined,
            others: ['abort'],
          }
        : {
            title: 'The copy stands still',
            text: 'It goes on where it stopped, with neither gaps nor doubles.',
            primary: 'goOn',
            others: ['abort'],
          }
    case 'copied':
      return isBusy
        ? { title: 'Copied', text: 'Following begins.', primary: undefined, others: [] }
        : {
            title: 'Copied once',
            text: 'Follow the file from here, so that changes reach Postgres as they come.',
            primary: 'goOn',
            others: ['abort'],
          }
    case 'following':
      return following(board)
    case 'cuttingOver':
    case 'rollingBack':
      return {
        title: move.state === 'cuttingOver' ? 'Cutting over' : 'Rolling back',
        text: 'Writes are refused for a moment. A switch that was left behind is finished or undone by the same button.',
        primary: isRunning(jobs, 'move.cutover', 'move.rollback')
          ? undefined
          : move.state === 'cuttingOver'
            ? 'settle'
            : 'rollback',
        others: [],
      }
    case 'mirroring':
      return isBusy
        ? {
            title: 'Postgres takes the writes',
            text: 'Every change of Postgres goes back into the file, so that the way back is a switch. Live with it for some days, then finish.',
            primary: undefined,
            others: ['rollback', 'finish'],
          }
        : {
            title: 'Nobody mirrors Postgres into the file',
            text: 'Nothing is lost: Postgres keeps its log for it. Go on, and the way back stays open.',
            primary: 'goOn',
            others: ['rollback', 'finish'],
          }
    case 'rolledBack':
      return {
        title: 'SQLite takes the writes again',
        text: 'The file has everything that Postgres took. Follow it again when you want to try once more; no new copy is needed.',
        primary: 'goOn',
        others: ['abort'],
      }
    default:
      return {
        ...begin(board),
        title: move.state === 'finished' ? 'The move is finished' : 'The move was aborted',
        text:
          move.state === 'finished'
            ? 'Postgres has the data, and the file is no longer kept in step. A plan begins another move of this file.'
            : 'Both sides are as before. A plan begins another move of this file.',
      }
  }
}
