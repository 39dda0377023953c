import { reasonOf } from '../../errors.js'
import { isAlive, type ProcessIdentity } from '../../state/state.js'
import type { Place } from './place.js'
import { findPostmaster, leftPidFile } from './postmaster.js'

/** Runs something while no other command starts or stops the server. */
export type Locked = <T>(fn: () => Promise<T>) => Promise<T>

export interface Watch {
  stop(): Promise<void>
}

interface SuperviseOptions {
  readonly place: Place
  readonly identity: ProcessIdentity
  readonly log: (message: string) => void
  readonly locked: Locked
  /** Starts the server again on its old port, or attaches where another command did; called holding the lock. */
  bringUp(): Promise<ProcessIdentity>
}

const everyMs = 250

/**
 * Starts the server again when it was killed while this process uses it. One that was shut down in order stays down:
 * somebody meant it, such as the machine going down.
 */
export const supervise = ({ place, identity, log, locked, bringUp }: SuperviseOptions): Watch => {
  let watched = identity
  const abort = new AbortController()
  const check = async (): Promise<void> => {
    if (await isAlive(watched)) return
    await locked(async () => {
      if (abort.signal.aborted) return
      const found = await findPostmaster(place.dataDir)
      if (found === undefined && !(await leftPidFile(place.dataDir))) return
      if (found === undefined) log('Postgres died; starting it again')
      watched = await bringUp()
    }).catch((error: unknown) => log(`Postgres could not be started again: ${reasonOf(error)}`))
  }
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    running = check().finally(() => {
      busy = false
    })
  }, everyMs)
  timer.unref()
  return {
    stop: async () => {
      abort.abort()
      clearInterval(timer)
      await running
    },
  }
}
