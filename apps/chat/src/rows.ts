/** Sessions and messages as the API shows them and as caches keep them: plain JSON, times as ISO text. */
import type { ColumnType, Generated } from 'kysely'
import type { Client } from 'tidemark'
import { createStatements, type Told } from 'tidemark/app'
import { z } from 'zod'
import type { Metadata } from './limits.js'

/** What statements are run on: a connection, a transaction or a pool. */
export type Db = Pick<Client, 'query'>

const id = z.guid()
const time = z.iso.datetime()
const metadata = z.record(z.string(), z.unknown())

const status = z.enum(['active', 'archived'])
export type Status = Told<typeof status>
const role = z.enum(['user', 'assistant', 'system', 'tool'])
export type Role = Told<typeof role>

export const sessionRow = z.strictObject({
  id,
  user_id: id,
  title: z.string(),
  status,
  message_count: z.int().describe('Without the deleted ones.'),
  last_message_at: time.nullable(),
  last_message_preview: z.string().nullable(),
  version: z.int().describe('Goes up with every change of the chat or of one of its messages.'),
  metadata,
  created_at: time,
  updated_at: time,
})
export type Session = Told<typeof sessionRow>

export const messageRow = z.strictObject({
  id,
  session_id: id,
  seq: z.int().describe('1, 2, 3 … without a gap.'),
  role,
  content: z.string().describe('Empty where it was deleted.'),
  client_message_id: z.string().nullable(),
  metadata,
  edited_at: time.nullable(),
  deleted_at: time.nullable(),
  created_at: time,
})
export type Message = Told<typeof messageRow>

/** A moment that Postgres writes by itself. */
type Moment = ColumnType<Date | null, never, never>
type Metadatum = ColumnType<Metadata, string | undefined, string>

/** The tables as Kysely knows them: numbers come as text where they may be larger than JavaScript's, times as Date. */
export interface Tables {
  readonly chat_sessions: {
    readonly id: Generated<string>
    readonly user_id: string
    readonly title: Generated<string>
    readonly status: Generated<Status | 'deleted'>
    readonly message_count: ColumnType<number, never, never>
    readonly last_message_at: Moment
    readonly last_message_preview: ColumnType<string | null, never, never>
    readonly version: ColumnType<string, never, never>
    readonly metadata: Metadatum
    readonly deleted_from: ColumnType<Status | null, never, never>
    readonly undo_until: ColumnType<Date | null, never, Date>
    readonly created_at: Moment
    readonly updated_at: Moment
  }
  readonly chat_messages: {
    readonly id: Generated<string>
    readonly session_id: string
    readonly seq: ColumnType<string, never, never>
    readonly role: Role
    readonly content: string
    readonly client_message_id: string | null
    readonly metadata: Metadatum
    readonly edited_at: Moment
    readonly deleted_at: ColumnType<Date | null, never, Date>
    readonly created_at: Moment
  }
}

/** Makes statements, and runs none. */
export const tables = createStatements<Tables>()

export type SessionRow = { readonly [K in keyof Session]: unknown }
export type MessageRow = { readonly [K in keyof Message]: unknown }

export const sessionColumns = [
  'id',
  'user_id',
  'title',
  'status',
  'message_count',
  'last_message_at',
  'last_message_preview',
  'version',
  'metadata',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof Session)[]

export const messageColumns = [
  'id',
  'session_id',
  'seq',
  'role',
  'content',
  'client_message_id',
  'metadata',
  'edited_at',
  'deleted_at',
  'created_at',
] as const satisfies readonly (keyof Message)[]

const timeText = (value: unknown): string => (value instanceof Date ? value : new Date(String(value))).toISOString()

const timeOrNull = (value: unknown): string | null => (value === null ? null : timeText(value))

export const toSession = (row: SessionRow): Session => ({
  ...(row as Session),
  version: Number(row.version),
  last_message_at: timeOrNull(row.last_message_at),
  created_at: timeText(row.created_at),
  updated_at: timeText(row.updated_at),
})

export const toMessage = (row: MessageRow): Message => ({
  ...(row as Message),
  seq: Number(row.seq),
  edited_at: timeOrNull(row.edited_at),
  deleted_at: timeOrNull(row.deleted_at),
  created_at: timeText(row.created_at),
})
