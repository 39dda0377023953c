/** Events for tests of workers, as the intake leaves them behind. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { Redis } from '../../redis/redis.js'
import { type EntryParts, entryArguments, queuedParts, wholeParts } from '../entry.js'
import { type AcceptedEvent, normaliserVersion, partitionKeys } from '../webhooks.js'

export interface GivenEvent {
  /** What it is about; its lane. */
  readonly entity: string
  /** Of the events of its entity. */
  readonly n: number
  readonly type?: string
  readonly partition?: number
  readonly data?: Readonly<Record<string, unknown>>
}

export const acceptedEvent = ({ entity, n, type = 'contact.created', partition = 0, data = {} }: GivenEvent): AcceptedEvent => {
  const id = randomUUID()
  const envelope = {
    id,
    provider: 'generic',
    tenant: '',
    type,
    source_type: type,
    timestamp: null,
    received_at: new Date().toISOString(),
    entity: { type: 'contact', external_id: entity },
    verified: true,
    trust: 'statement',
    data: { ...data, entity, n },
  }
  return {
    id,
    provider: 'generic',
    tenant: '',
    dedupeKey: `${entity}:${n}:${id}`,
    type,
    sourceType: type,
    entity: { type: 'contact', externalId: entity },
    lane: `generic||contact|${entity}`,
    partition,
    envelope: Buffer.from(JSON.stringify(envelope)),
    unparseable: undefined,
    raw: Buffer.from(JSON.stringify({ entity, n })),
    headers: {},
    verified: true,
    trust: 'statement',
    receivedAtMs: Date.now(),
  }
}

/** Inserts the rows of events; gives their numbers. */
export const insertRows = async (
  db: pg.ClientBase,
  events: readonly AcceptedEvent[],
  queued = true,
): Promise<readonly string[]> => {
  const seqs: string[] = []
  for (let at = 0; at < events.length; at += 500) {
    const part = events.slice(at, at + 500)
    const { rows } = await db.query<{ seq: string }>(
      `insert into public.webhook_events (id, provider, tenant, dedupe_key, event_type, source_type, entity_type, entity_id, lane,
         partition, payload, raw, verified, trust, queued)
       select id, 'generic', '', dedupe, type, type, 'contact', entity, lane, partition, payload::jsonb, convert_to(payload, 'UTF8'),
              true, 'statement', $7
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $8::text[])
              with ordinality as given(id, dedupe, type, entity, lane, partition, payload, place) order by place returning seq`,
      [
        part.map(({ id }) => id),
        part.map(({ dedupeKey }) => dedupeKey),
        part.map(({ type }) => type),
        part.map(({ entity }) => entity?.externalId ?? ''),
        part.map(({ lane }) => lane),
        part.map(({ partition }) => partition),
        queued,
        part.map(({ envelope }) => envelope?.toString() ?? 'null'),
      ],
    )
    seqs.push(...rows.map(({ seq }) => seq))
  }
  return seqs
}

const append = async (redis: Redis, partitions: number, event: AcceptedEvent, parts: EntryParts) =>
  redis.command(['XADD', partitionKeys(event.partition, partitions).stream, '*', ...entryArguments(parts)])

/** Events whose rows are in Postgres and whose entries are in the stream. */
export const giveQueued = async (db: pg.ClientBase, redis: Redis, given: readonly GivenEvent[], partitions = 1) => {
  const events = given.map(acceptedEvent)
  const seqs = await insertRows(db, events)
  await Promise.all(events.map((event, at) => append(redis, partitions, event, queuedParts(event, seqs[at]!))))
  return events
}

/** Appends entries of rows that are there once more. */
export const appendAgain = (redis: Redis, events: readonly AcceptedEvent[], partitions = 1) =>
  Promise.all(events.map((event) => append(redis, partitions, event, queuedParts(event, '1'))))

/** Events that are in the stream and nowhere else. */
export const giveWhole = async (redis: Redis, given: readonly GivenEvent[], partitions = 1) => {
  const events = given.map(acceptedEvent)
  await Promise.all(events.map((event) => append(redis, partitions, event, wholeParts(event, normaliserVersion))))
  return events
}
