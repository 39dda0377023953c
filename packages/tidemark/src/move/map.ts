/** The map of a move into tables that exist: which table and column becomes which, and how. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { reasonOf, TidemarkError } from '../errors.js'
import { zodReason } from './choices.js'
import { isTimeZone } from './time-zones.js'

const zone = z.string().refine(isTimeZone, 'not a time zone that is known here')

const columnMap = z.strictObject({
  to: z.string().min(1).optional(),
  as: z
    .enum([
      'uuid', 'uuid-dashless', 'uuid-mapped', 'json', 'jsonb', 'timestamptz', 'timestamp', 'date', 'time', 'boolean', 'integer', 'numeric',
      'real', 'text', 'bytes', 'epoch-seconds', 'epoch-milliseconds', 'epoch-microseconds',
    ])
    .optional(), // biome-ignore format: one line reads better
  truthy: z.array(z.coerce.string()).min(1).optional(),
  falsy: z.array(z.coerce.string()).min(1).optional(),
  onBadValue: z.enum(['reject', 'null']).optional(),
  nulBytes: z.enum(['reject', 'strip', 'replace', 'null']).optional(),
  invalidUtf8: z.enum(['reject', 'replace', 'latin1', 'null']).optional(),
  nullAs: z.string().optional(),
  timeZone: zone.optional(),
})

const tableMap = z.strictObject({
  $comment: z.string().optional(),
  to: z.string().min(1),
  columns: z.record(z.string(), columnMap).default({}),
  /** Columns of the file that stay behind. */
  ignore: z.array(z.string()).default([]),
  /** Columns of the target that the file does not fill, left to their defaults: named, so that none is forgotten. */
  extraTargetColumns: z.array(z.string()).default([]),
  /** `allow`: rows that cannot be carried may stay behind. */
  rejects: z.literal('allow').optional(),
})

const mapSchema = z.strictObject({
  $comment: z.string().optional(),
  version: z.literal(1),
  timeZone: zone.default('UTC'),
  /** The namespace of the uuids given to ids that are none (RFC 9562, version 5). */
  namespace: z.guid().default('6ba7b812-9dad-11d1-80b4-00c04fd430c8'),
  tables: z.record(z.string(), tableMap),
  ignoreTables: z.array(z.string()).default([]),
})

export type MoveMap = z.output<typeof mapSchema>
export type TableMap = z.output<typeof tableMap>
export type ColumnMap = z.output<typeof columnMap>

/** Reads a map. Raises TM_MOVE_MAP_INVALID. */
export const readMap = (path: string): MoveMap => {
  try {
    const parsed = mapSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')))
    if (parsed.success) return parsed.data
    throw new TidemarkError('TM_MOVE_MAP_INVALID', { path, reason: zodReason(parsed.error) })
  } catch (error) {
    if (error instanceof TidemarkError) throw error
    throw new TidemarkError('TM_MOVE_MAP_INVALID', { path, reason: reasonOf(error) }, { cause: error })
  }
}
