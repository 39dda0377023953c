import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Nap } from '../nap.js'
import type { OwnedPartitions } from '../partitions/owned-partitions.js'
import type { Pause } from '../pause.js'
import type { WorkerSettings } from '../workers.js'
import { type Queue, QueueLost } from './queue.js'

export interface ReaderOptions {
  readonly queue: Queue
  readonly owned: OwnedPartitions
  readonly pause: Pause
  readonly nap: Nap
  readonly settings: Pick<WorkerSettings, 'held' | 'batch'>
  /** Reads wait at the queue, so that nobody need ask it again and again. */
  readonly waitsThere: boolean
  readonly ending: AbortSignal
  readonly log: Logger
}

const waitMs = 1_000
/** While some partitions hold as much as they may, reads of the others must not keep those waiting. */
const shortWaitMs = 20
/** Without a connection that may wait, streams are asked this often. */
const pollMs = 25
const outageMs = 500

const readOnce = async ({ queue, owned, pause, nap, settings, waitsThere }: ReaderOptions): Promise<void> => {
  const { reading } = owned
  const hungry = new Map(
    [...reading].flatMap(([number, { lanes, epoch }]) => (lanes.held < settings.held ? [[number, epoch] as const] : [])),
  )
  if (hungry.size === 0 || pause.reason !== undefined) {
    await nap.take(reading.size > hungry.size ? shortWaitMs : waitMs)
    return
  }
  const endRead = owned.beginRead(hungry.keys())
  const readings = await queue.read(hungry, settings.batch, hungry.size < reading.size ? shortWaitMs : waitMs).finally(endRead)
  for (const { partition: number, events } of readings) {
    const partition = owned.get(number)
    // What was read for a partition that is lost is in the pending list: its next owner takes it from there.
    if (partition?.epoch === hungry.get(number)) await partition?.arrive(events)
  }
  if (readings.length === 0 && queue.kind === 'stream' && !waitsThere) await nap.take(pollMs)
}

/** Reads events for the partitions that have room, until the end. */
export const readEvents = async (options: ReaderOptions): Promise<void> => {
  const { ending, owned, nap, log, pause } = options
  while (!ending.aborted) {
    try {
      await readOnce(options)
    } catch (error) {
      if (ending.aborted) return
      if (error instanceof QueueLost) await owned.reopenMissing().catch(() => nap.take(outageMs))
      else {
        log.debug('nothing could be read', { reason: reasonOf(error) })
        pause.beginFor(error)
        await nap.take(outageMs)
      }
    }
  }
}
