import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { TidemarkError } from '../../errors.js'
import type { CommandContext } from '../context.js'

/** A program that runs as long as a server does. */
export interface Beside {
  /** Asks it to end, and waits until it has; after a while it is ended. */
  stop(): Promise<void>
}

const patienceMs = 10_000

/** What the server's variables take the place of goes on as TIDEMARK_GIVEN_…, so that the command can call `tidemark` as it was called itself. */
const givenBefore = (before: NodeJS.ProcessEnv, env: Readonly<Record<string, string>>): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.keys(env).flatMap((name) => (before[name] === undefined ? [] : [[`TIDEMARK_GIVEN_${name}`, before[name]]])),
  )

/**
 * Starts a command beside a server, with the variables by which it finds what the server uses. That it ends is told and is no reason for the
 * server to end. Raises TM_CLI_USAGE where it cannot be started.
 */
export const runBeside = async (
  { io, terminal }: CommandContext,
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Beside> => {
  // What it prints is for people, as notes are; the result of `--json` stays alone on standard output.
  const stdout = terminal.json ? 2 : 1
  const child = spawn(program, args, {
    cwd: io.cwd,
    env: { ...io.env, ...givenBefore(io.env, env), ...env },
    stdio: ['ignore', stdout, 2],
  })
  const ended = once(child, 'close').catch(() => undefined)
  child.on('error', () => undefined)
  let isStopping = false
  await once(child, 'spawn').catch((error: Error) => {
    throw new TidemarkError('TM_CLI_USAGE', { reason: `${program} cannot be run: ${error.message}.`, command: 'tidemark dev' })
  })
  child.once('close', (code, signal) => {
    if (!isStopping) terminal.note(`${program} ended with ${signal ?? code}. The server goes on.`)
  })
  return {
    stop: async () => {
      isStopping = true
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
      await ended
      clearTimeout(timer)
    },
  }
}
