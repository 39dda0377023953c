/** Starting programs, and what became of them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  /** The end of it. */
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** The end of what it has said so far. */
  said(): Pick<Ended, 'stdout' | 'stderr'>
}

export const runCommand = (
  cwd: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Started => {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = `${stderr}${text}`.slice(-4000)
  })
  // What a killed process has started may outlive it and hold its pipes open, so that they never close.
  const ended = once(child, 'exit').then(async ([code, signal]) => {
    if (signal === null && child.stdout.readable) await Promise.race([once(child, 'close'), pause(2000)])
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr }
  })
  return { child, ended, said: () => ({ stdout, stderr }) }
}

/** In one line, for people. */
export const lastWordsOf = ({ stdout, stderr }: Pick<Ended, 'stdout' | 'stderr'>): string =>
  `${stdout.slice(-1500)} ${stderr.slice(-1500)}`.replaceAll(/\s+/g, ' ').trim()

export const wordsOf = (ended: Ended): string => `${ended.signal ?? `exit ${ended.code}`}: ${lastWordsOf(ended)}`

/** The code of the error that a command ended with; undefined where it told none. */
export const errorCodeOf = ({ stdout, stderr }: Ended): string | undefined =>
  /\b(TM_[A-Z0-9_]+)\b/.exec(stdout)?.[1] ?? /\b(TM_[A-Z0-9_]+)\b/.exec(stderr)?.[1]

/** It could not do what it was asked to for a reason that passes, and says so. */
export const isRetryable = ({ code, stdout }: Ended): boolean => code !== 0 && /"retryable": true/.test(stdout)
