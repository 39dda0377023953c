/** The command that an application not built on Tidemark is switched over by. */
import { spawn } from 'node:child_process'
import type { MoveState } from './live-state.js'
import { writerOf } from './live-state.js'
import type { CommandOutcome } from './switch-options.js'

/** The end of what a command wrote is enough to see why it failed. */
const keptBytes = 2_000

/**
 * Runs it with the move's state in its environment and waits for its end. Whatever becomes of it is an answer, not an error: the switch
 * stands already.
 */
export const runCommand = (command: readonly string[], state: MoveState, signal?: AbortSignal): Promise<CommandOutcome> =>
  new Promise((resolve) => {
    const [program = '', ...rest] = command
    const env = { ...process.env, TIDEMARK_MOVE_STATE: state, DATABASE_PROVIDER: writerOf(state) ?? '' }
    let written = ''
    const end = (exitCode: number | null, failure: string | null) => resolve({ command, exitCode, failure })
    // What it prints is its own: standard output goes to standard error, so that a report of ours stays machine-readable.
    const child = spawn(program, rest, { env, stdio: ['ignore', 2, 'pipe'], ...(signal && { signal }) })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      written = (written + text).slice(-keptBytes)
    })
    child.on('error', (error) => end(null, error.message))
    child.on('close', (code, killedBy) => {
      if (code === 0) end(0, null)
      else end(code, written.trim() || (killedBy === null ? `it ended with ${code}` : `it was ended by ${killedBy}`))
    })
  })
