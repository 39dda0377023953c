import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Replays, ReplayView, StartedReplay } from '../../webhooks/replay/replays.js'
import type { Selection } from '../../webhooks/replay/selection.js'
import type { EventDetail, EventView, StatusCount, StoredEvents } from '../../webhooks/replay/stored-events.js'
import type { Project } from '../project/project.js'

const name = z.string().min(1).max(255)
const instant = z.iso.datetime({ offset: true })
const statuses = z.enum(['accepted', 'processing', 'processed', 'failed', 'dead'])
const reasons = z.enum(['attempts', 'refused', 'unparseable', 'crash_loop', 'no_handler'])

const selection = {
  ids: z.array(z.uuid()).min(1).max(10_000).optional(),
  provider: name.optional(),
  type: name.optional(),
  status: z.array(statuses).min(1).optional(),
  reason: reasons.optional(),
  entity: name.optional(),
  since: instant.optional(),
  until: instant.optional(),
}

export const listRequest = z.strictObject({ ...selection, limit: z.number().int().min(1).max(1000).default(50) })
export const showRequest = z.strictObject({ id: name })
export const replayRequest = z.strictObject({
  ...selection,
  dryRun: z.boolean().optional(),
  actor: z.string().min(1).max(100).default('operator'),
  /** In place of what came; of one event, which `ids` names. Not written to the audit log: the event has it. */
  payload: z.string().max(1_048_576).optional(),
})
export const replayIdRequest = z.strictObject({ id: z.uuid() })

export type ListRequest = z.output<typeof listRequest>
export type ReplayRequest = z.output<typeof replayRequest>

export interface ListReport {
  readonly counts: readonly StatusCount[]
  readonly events: readonly EventView[]
}

export interface ReplayReport {
  readonly dryRun: boolean
  /** How many events are meant. */
  readonly selected: number
  /** Undefined after a dry run. */
  readonly replay: StartedReplay | undefined
}

/** A server's own pool, or one for this call. */
const withPool = <T>(project: Project, pool: Pool | undefined, fn: (pool: Pool) => Promise<T>): Promise<T> => {
  if (pool) return fn(pool)
  return project.withDatabase(undefined, async ({ target }) => {
    const { createNamedPool } = await import('../../postgres/postgres.js')
    const own = createNamedPool('migration', { url: target.url, pools: { migration: { maxConnections: 2, minConnections: 0 } } })
    try {
      return await fn(own)
    } finally {
      await own.stop()
    }
  })
}

const withEvents = <T>(project: Project, pool: Pool | undefined, fn: (events: StoredEvents) => Promise<T>): Promise<T> =>
  withPool(project, pool, async (db) => {
    const { createStoredEvents } = await import('../../webhooks/replay/stored-events.js')
    return fn(createStoredEvents(db))
  })

const withReplays = <T>(project: Project, pool: Pool | undefined, fn: (replays: Replays) => Promise<T>): Promise<T> =>
  withPool(project, pool, async (db) => {
    const { createReplays } = await import('../../webhooks/replay/replays.js')
    return fn(createReplays(db))
  })

/** Events, the newest first, and how many there are of each status. */
export const hooksList = (project: Project, { limit, ...given }: ListRequest, pool?: Pool): Promise<ListReport> =>
  withEvents(project, pool, async (events) => ({ counts: await events.counts(), events: await events.list(given, limit) }))

/** Raises TM_WEBHOOKS_NOT_FOUND. */
export const hooksShow = (project: Project, id: string, pool?: Pool): Promise<EventDetail> =>
  withEvents(project, pool, (events) => events.show(id))

/** Of the event that is edited: nothing else may be said beside it. */
const onlyId = ({ ids = [], ...others }: Selection, dryRun: boolean): string => {
  const [id] = ids
  if (id !== undefined && ids.length === 1 && !dryRun && Object.keys(others).length === 0) return id
  throw new TidemarkError('TM_WEBHOOKS_BAD_EDIT', { reason: 'an edited body belongs to one event, named by its id' })
}

/** Has events sent through again; one of them with another body, where one is given. */
export const hooksReplay = (
  project: Project,
  { dryRun = false, actor, payload, ...given }: ReplayRequest,
  pool?: Pool,
): Promise<ReplayReport> =>
  withReplays(project, pool, async (replays) => {
    if (payload !== undefined) {
      const replay = await replays.startEdited(onlyId(given, dryRun), Buffer.from(payload), actor)
      return { dryRun, selected: replay.selected, replay }
    }
    if (dryRun) return { dryRun, selected: await replays.count(given), replay: undefined }
    const replay = await replays.start(given, actor)
    return { dryRun, selected: replay.selected, replay }
  })

export const hooksReplays = (project: Project, pool?: Pool): Promise<{ readonly replays: readonly ReplayView[] }> =>
  withReplays(project, pool, async (replays) => ({ replays: await replays.list() }))

export const hooksReplayState = (project: Project, id: string, pool?: Pool): Promise<ReplayView | null> =>
  withReplays(project, pool, async (replays) => (await replays.get(id)) ?? null)
