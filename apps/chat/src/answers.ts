/** What answers hold, as `/openapi.json` tells it. */
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { messageRow, sessionRow } from './rows.js'

export const sessionPage = z.strictObject({
  chats: z.array(sessionRow),
  next: z.string().nullable().describe('The cursor of the next page; null after the last.'),
})
export type SessionPage = Told<typeof sessionPage>

export const deleted = z.strictObject({ id: z.guid(), undo_until: z.iso.datetime() })
export type Deleted = Told<typeof deleted>

export const messagePage = z.strictObject({
  messages: z.array(messageRow).describe('Oldest first; deleted ones are there without words.'),
  has_more: z
    .boolean()
    .describe('Whether there are more in the direction that was asked for: older ones, or with after newer ones.'),
})
export type MessagePage = Told<typeof messagePage>
