/** What can be done in each state, as the commands that do it. */
import type { MoveState } from './live-state.js'

export interface NextCommand {
  readonly command: string
  readonly what: string
}

const words: Readonly<Record<MoveState, readonly (readonly [command: string, what: string])[]>> = {
  planned: [
    ['', 'begins the copy'],
    ['abort', 'ends the move'],
  ],
  copying: [
    ['', 'goes on with the copy'],
    ['abort', 'ends the move'],
  ],
  copied: [
    ['', 'makes it a live move, which follows the file'],
    ['verify', 'compares every row'],
    ['abort', 'ends the move'],
  ],
  following: [
    ['follow', 'follows the file, where no process does'],
    ['cutover', 'switches over to Postgres'],
    ['reads', 'lets Postgres answer a share of the reads'],
    ['abort', 'ends the move'],
  ],
  cuttingOver: [['cutover', 'finishes or undoes the switch that was begun']],
  mirroring: [
    ['follow', 'mirrors Postgres into the file, where no process does'],
    ['rollback', 'goes back to SQLite'],
    ['finish', 'ends the move; there is no way back then'],
  ],
  rollingBack: [['rollback', 'finishes or undoes the way back that was begun']],
  rolledBack: [
    ['follow', 'goes on following the file'],
    ['abort', 'ends the move'],
  ],
  finished: [],
  aborted: [],
}

/** A path that a shell takes as one word. */
const quoted = (path: string): string => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)

export const nextCommands = (state: MoveState, path: string): readonly NextCommand[] =>
  words[state].map(([command, what]) => ({
    command: ['tidemark move', command, command === 'reads' ? '25%' : '', quoted(path)].filter((part) => part !== '').join(' '),
    what,
  }))

/** The same in a sentence, for errors. */
export const possibleWords = (state: MoveState, path: string): string =>
  nextCommands(state, path)
    .map(({ command, what }) => `\`${command}\` ${what}`)
    .join(', ') || 'nothing; a new `tidemark move` begins another'
