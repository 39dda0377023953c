import type { Logger } from '../../observability/observability.js'
import { isAlive, type ProcessIdentity } from '../../state/state.js'
import type { ServerPlace } from './conf.js'
import { pidOnFile } from './server-process.js'

interface SuperviseOptions {
  readonly place: ServerPlace
  readonly identity: ProcessIdentity
  readonly log: Logger
  locked<T>(step: () => Promise<T>): Promise<T>
  /** Starts the server again, or attaches where another command did; called holding the lock. */
  bringUp(): Promise<ProcessIdentity>
}

const everyMs = 250

/**
 * Starts the server again when it was killed while this process uses it. One that was shut down in order (it removed its pid
 * file) stays down: somebody meant it.
 */
export const supervise = ({ place, identity, log, locked, bringUp }: SuperviseOptions): { stop(): Promise<void> } => {
  let watched = identity
  let stopping = false
  const check = async (): Promise<void> => {
    if (await isAlive(watched)) return
    if ((await pidOnFile(place)) === undefined) return
    await locked(async () => {
      if (stopping || (await isAlive(watched))) return
      log.warn('the server died; starting it again')
      watched = await bringUp()
    }).catch((err: unknown) => log.error('the server could not be started again', { err }))
  }
  let running: Promise<void> | undefined
  const timer = setInterval(() => {
    running ??= check().finally(() => {
      running = undefined
    })
  }, everyMs)
  timer.unref()
  return {
    stop: async () => {
      stopping = true
      clearInterval(timer)
      await running
    },
  }
}
