/** An operator's own chat: held as a user of the chat application, under the policies that hold for everybody. Chats of others stay theirs. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { TidemarkError } from '../../../errors.js'
import { createRoleWrites, type Viewpoint } from '../role-reads.js'
import { findSystem, type SystemReads } from './systems.js'

export interface OwnMessage {
  readonly id: string
  /** Under which it was sent; sent again, it is there once. Null for what the application answered. */
  readonly clientId: string | null
  readonly role: 'user' | 'assistant' | 'system' | 'tool'
  readonly text: string
  /** ISO 8601. */
  readonly at: string
}

export interface OwnChat {
  /** Null before the first message. */
  readonly id: string | null
  /** The newest ones, oldest first. */
  readonly messages: readonly OwnMessage[]
}

/** `payload`: what is said; the audit log keeps no more of it than its digest. */
export const sayRequest = z.strictObject({ payload: z.string().trim().min(1).max(4_000), clientId: z.uuid() })

const mostShown = 200

/** Always the same for an operator. */
const userOf = (operator: string): string => {
  const hex = createHash('sha256').update(`tidemark operator ${operator}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const callerOf = (operator: string): Viewpoint => ({ role: 'authenticated', user: userOf(operator) })

const ownSession = `select id from public.chat_sessions where user_id = auth.uid() and status = 'active' order by created_at, id limit 1`

const ownSql = `
  select json_build_object('id', (${ownSession}), 'messages', coalesce(
    (select json_agg(m order by m.seq) from (
      select id, client_message_id as "clientId", role, content as text, created_at as at, seq
        from public.chat_messages where session_id = (${ownSession}) and deleted_at is null order by seq desc limit ${mostShown}) m), '[]'))::text`

const absent: OwnChat = { id: null, messages: [] }

/** Empty where the application is not here. */
export const ownChat = async (reads: SystemReads, operator: string): Promise<OwnChat> => {
  const found = await findSystem(reads, 'chat')
  return found ? found.reads.json<OwnChat>(callerOf(operator), ownSql) : absent
}

/** Says something in the operator's own chat, which begins with it. Raises TM_SERVER_BAD_REQUEST where the application is not here. */
export const sayInChat = async (
  reads: SystemReads,
  { payload, clientId }: z.output<typeof sayRequest>,
  operator: string,
): Promise<OwnChat> => {
  const found = await findSystem(reads, 'chat')
  if (!found) throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: 'the tables of chat are not here' })
  await createRoleWrites(found.reads)(callerOf(operator), [
    // Two first messages at once begin one chat.
    { text: `select pg_advisory_xact_lock(hashtextextended(auth.uid()::text, 0))`, values: [] },
    {
      text: `insert into public.chat_sessions (title) select 'From the dashboard' where not exists (${ownSession})`,
      values: [],
    },
    {
      text: `insert into public.chat_messages (session_id, role, content, client_message_id)
        select own.id, 'user', $1, $2 from (${ownSession}) own on conflict do nothing`,
      values: [payload, clientId],
    },
  ])
  return found.reads.json<OwnChat>(callerOf(operator), ownSql)
}
