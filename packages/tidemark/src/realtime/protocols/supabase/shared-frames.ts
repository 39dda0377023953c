/** Frames that are made once and go to everybody who is told the same. */
import { type Frame, textFrame } from '../../hub/frame.js'
import type { DatabaseMessage } from '../../messages/messages.js'
import type { PresenceDiff, PresenceMeta, PresenceState, TopicMessage, VisibleChange } from '../../realtime.js'
import { beginningOfPush, broadcastFrame, endOfPush, pushFrame, type UserBroadcast, type Version } from './frames.js'
import { decodeBody } from './topic-body.js'

type ByVersion<T> = Partial<Record<Version, T>>

/** Makes a value once for each version of the same thing: whoever is told of it is told right one after the other. */
const onceForEach = <T extends object, V>(make: (thing: T, version: Version, topic: string) => V) => {
  let last: T | undefined
  let made: ByVersion<{ readonly value: V }> = {}
  return (thing: T, version: Version, topic: string): V => {
    if (thing !== last) {
      last = thing
      made = {}
    }
    const known = made[version] ?? { value: make(thing, version, topic) }
    made[version] = known
    return known.value
  }
}

/** Undefined where the version has no words for it. A message belongs to one topic. */
export const frameOfMessage = onceForEach((message: TopicMessage, version, topic): Frame | undefined => {
  const body = decodeBody(message.body)
  if (body === undefined) return undefined
  if (body.kind === 'user') return broadcastFrame(version, topic, body.broadcast)
  return pushFrame(version, null, topic, 'broadcast', body.json)
})

const ofDatabase = ({ event, payload }: DatabaseMessage, meta: object): UserBroadcast => ({
  event,
  encoding: payload.kind,
  payload: payload.kind === 'json' ? Buffer.from(payload.text) : payload.bytes,
  meta: JSON.stringify(meta),
})

/** A message belongs to one topic. */
export const frameOfDatabaseMessage = onceForEach((message: DatabaseMessage, version, topic): Frame | undefined =>
  broadcastFrame(version, topic, ofDatabase(message, { id: message.id })),
)

export const frameOfReplayed = (message: DatabaseMessage, version: Version, topic: string): Frame | undefined =>
  broadcastFrame(version, topic, ofDatabase(message, { id: message.id, replayed: true }))

const metaJson = ({ ref, payload }: PresenceMeta, previous: PresenceMeta | undefined): object => ({
  ...(payload as object),
  phx_ref: ref,
  ...(previous && { phx_ref_prev: previous.ref }),
})

/** `replaced`: what left under the same keys at the same time, so that it was changed rather than gone. */
const stateJson = (state: PresenceState, replaced?: PresenceState): Record<string, object> => {
  // A key may be `__proto__`.
  const json: Record<string, object> = Object.create(null)
  for (const [key, metas] of state) {
    const before = replaced?.get(key)
    const pairs = before?.length === metas.length ? before : undefined
    json[key] = { metas: metas.map((meta, index) => metaJson(meta, pairs?.[index])) }
  }
  return json
}

export const presenceStateJson = (state: PresenceState): string => JSON.stringify(stateJson(state))

const nobody: PresenceState = new Map()

/**
 * A diff belongs to one topic. Where somebody changed rather than came or went, what left is told first: clients of 2.10x lose the refs of a
 * key that joins while it is there, and show it twice from then on.
 */
export const framesOfDiff = onceForEach(({ joins, leaves }: PresenceDiff, version, topic): readonly Frame[] => {
  const frame = (joined: PresenceState, left: PresenceState): Frame => {
    const json = JSON.stringify({ joins: stateJson(joined, leaves), leaves: stateJson(left) })
    return pushFrame(version, null, topic, 'presence_diff', json)
  }
  const changes = [...joins.keys()].some((key) => leaves.has(key))
  return changes ? [frame(nobody, leaves), frame(joins, nobody)] : [frame(joins, leaves)]
})

/** As Supabase writes it: milliseconds, UTC. */
const dataJson = (change: VisibleChange): string => {
  const { schema, table, event, committedAt, columnsJson, recordJson, oldRecordJson, errors } = change
  const head = JSON.stringify({ schema, table, commit_timestamp: committedAt.toISOString(), type: event }).slice(0, -1)
  const record = recordJson === undefined ? '' : `,"record":${recordJson}`
  const old = oldRecordJson === undefined ? '' : `,"old_record":${oldRecordJson}`
  return `${head},"columns":${columnsJson}${record}${old},"errors":${JSON.stringify(errors)}}`
}

/** What of a change is the same for all channels of a topic in a version. */
export class ChangeFrameHead {
  readonly version: Version
  /** Up to the ids. */
  readonly text: string

  constructor(version: Version, topic: string) {
    this.version = version
    this.text = `${beginningOfPush(version, topic, 'postgres_changes')}{"ids":[`
  }
}

/** As clients of the first protocol read it: under the event's own name, without ids. */
export const frameOfLegacyChange = (change: VisibleChange, version: Version, topic: string): Frame =>
  pushFrame(version, null, topic, change.event, dataJson(change))

interface ChangeFrames {
  readonly data: string
  readonly byHead: Map<string, Map<string, Frame>>
}

const framesOf = new WeakMap<VisibleChange, ChangeFrames>()

/**
 * The frame that tells of a change: made once for all channels of one topic whose bindings have the same ids. `position`: told to clients that
 * asked for positions.
 */
export const frameOfChange = (change: VisibleChange, head: ChangeFrameHead, ids: string, position?: string): Frame => {
  let frames = framesOf.get(change)
  if (!frames) {
    frames = { data: dataJson(change), byHead: new Map() }
    framesOf.set(change, frames)
  }
  let byIds = frames.byHead.get(head.text)
  if (!byIds) {
    byIds = new Map()
    frames.byHead.set(head.text, byIds)
  }
  const key = position === undefined ? ids : `${ids} ${position}`
  let frame = byIds.get(key)
  if (!frame) {
    const told = position === undefined ? '' : `,"position":${JSON.stringify(position)}`
    frame = textFrame(`${head.text}${ids}],"data":${frames.data}${told}}${endOfPush(head.version)}`)
    byIds.set(key, frame)
  }
  return frame
}
