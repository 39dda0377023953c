/**
 * The clock of the machine that the application and Tidemark run on. libfaketime moves it for every program at once, also for the clock that
 * SQLite itself reads; where it is not installed (Debian: `apt-get install libfaketime`) only the dates of Node's own processes move. Postgres
 * keeps its clock, as one on another machine does. Monotonic time is left alone.
 */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Dice, oneOf } from '../random.ts'

const preload = new URL('moved-dates.mjs', import.meta.url)
const sharedMemory = '/dev/shm'
const [day, fiveMinutes] = [86_400, 300]

/** Debian keeps one for each architecture. */
const findLibrary = (): string | undefined => {
  if (process.platform !== 'linux') return undefined
  const folders = [
    '/usr/lib',
    ...readdirSync('/usr/lib', { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join('/usr/lib', entry.name)] : [],
    ),
  ]
  return folders.map((folder) => join(folder, 'faketime', 'libfaketime.so.1')).find((path) => existsSync(path))
}

export interface MachineClock {
  /** For each program whose clock moves. */
  readonly env: Readonly<Record<string, string>>
  /** For one whose dates alone do: Redis, which the server starts, does not run under the library. */
  readonly dates: Readonly<Record<string, string>>
  readonly kind: 'libfaketime' | 'dates of Node'
  /** To another time, for programs that run too, within a second. Answers with the seconds it is off now. */
  move(dice: Dice): number
  /** Removes what the library leaves behind in memory for programs that were killed. */
  close(): void
}

export const createMachineClock = (folder: string): MachineClock => {
  const path = join(folder, 'clock')
  const set = (seconds: number): void => writeFileSync(path, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  set(0)
  const library = findLibrary()
  let off = 0
  const dates = { CHAOS_CLOCK: path, NODE_OPTIONS: `--import ${fileURLToPath(preload)}` }
  const everything = {
    LD_PRELOAD: library ?? '',
    FAKETIME_TIMESTAMP_FILE: path,
    FAKETIME_CACHE_DURATION: '1',
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  }
  return {
    env: library === undefined ? dates : everything,
    dates,
    kind: library === undefined ? 'dates of Node' : 'libfaketime',
    move: (dice) => {
      off = oneOf(
        dice,
        [0, day, -day, fiveMinutes, -fiveMinutes].filter((seconds) => seconds !== off),
      )
      set(off)
      return off
    },
    close: () => {
      for (const name of library === undefined ? [] : readdirSync(sharedMemory)) {
        const pid = /^(?:faketime_shm|sem\.faketime_sem)_(\d+)$/.exec(name)?.[1]
        if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(sharedMemory, name), { force: true })
      }
    },
  }
}
