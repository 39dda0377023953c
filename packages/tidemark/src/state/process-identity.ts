import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** A process, told apart from a later one that was given the same pid. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in the operating system's own terms; letters, digits and dots only. */
  readonly start: string
}

const run = promisify(execFile)

let bootId: Promise<string> | undefined

/** Start times on Linux count from boot, so a machine that boots alike every time would repeat them. */
const readBootId = (): Promise<string> => {
  bootId ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.slice(0, 8),
    () => '0',
  )
  return bootId
}

/** The fields after the command's name, which may itself hold spaces and brackets. */
const linuxStart = async (pid: number): Promise<string | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  // A zombie runs nothing any more; it only waits for its parent to read its exit code.
  if (state === 'Z' || state === 'X') return undefined
  return `${fields[19]}.${await readBootId()}`
}

const psStart = async (pid: number): Promise<string | undefined> => {
  try {
    const { stdout } = await run('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)], {
      env: { ...process.env, LC_ALL: 'C' },
    })
    const [status = '', ...start] = stdout.trim().split(/\s+/)
    if (start.length === 0 || status.startsWith('Z')) return undefined
    return start.join('.').replace(/[^\w.]/g, '.')
  } catch {
    return undefined
  }
}

/** Where the start time cannot be asked for, a pid that answers has to do. */
const signalStart = (pid: number): string | undefined => {
  try {
    process.kill(pid, 0)
    return 'unknown'
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? 'unknown' : undefined
  }
}

const startOf = async (pid: number, platform: string): Promise<string | undefined> => {
  if (platform === 'linux') return linuxStart(pid)
  return platform === 'win32' ? signalStart(pid) : psStart(pid)
}

/** The identity of a running process; undefined where none runs under that pid. */
export const processIdentity = async (pid: number, platform: string = process.platform): Promise<ProcessIdentity | undefined> => {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  const start = await startOf(pid, platform)
  return start === undefined ? undefined : { pid, start }
}

/** True where that very process still runs: the same pid and the same start. */
export const isAlive = async ({ pid, start }: ProcessIdentity): Promise<boolean> => (await processIdentity(pid))?.start === start

let own: Promise<ProcessIdentity> | undefined

/** This process. */
export const ownIdentity = (): Promise<ProcessIdentity> => {
  own ??= processIdentity(process.pid).then((identity) => identity ?? { pid: process.pid, start: 'unknown' })
  return own
}
