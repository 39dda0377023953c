/** What answers hold, as `/openapi.json` tells it. */
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { states } from './conversation/states.js'
import { severities } from './risk/phrases.js'
import { analyticsEvents, roles } from './tables.js'

const count = z.int().min(0)
const state = z.enum(states)

export const chatReply = z.strictObject({
  reply: z.string(),
  session_id: z.string().describe('Another one than was asked with where that session was over.'),
  state: state.nullable().describe('Null where the store could not be asked.'),
  debug: z
    .strictObject({
      risk: z.enum(severities).nullable(),
      degraded: z.boolean().describe('True where the answer did not wait for the store.'),
    })
    .optional()
    .describe('What was decided; never in production.'),
})

export const messageRow = z.strictObject({ role: z.enum(roles), message: z.string() })
export type Message = Told<typeof messageRow>

const historyPage = z.strictObject({
  messages: z.array(messageRow).describe('Oldest first.'),
  next: z.string().nullable().describe('The cursor of the messages before these; null where there is nothing older.'),
})
export type HistoryPage = Told<typeof historyPage>
export const history = historyPage.extend({ session_id: z.string(), state })

export const analytics = z.strictObject({
  days: count,
  events: z.partialRecord(z.enum(analyticsEvents), count).describe('How often each thing happened; what never did is left out.'),
  completion_rate: z.number().min(0).nullable().describe('Sessions completed for each that began; null where none began.'),
})
export type EventCounts = Told<typeof analytics>['events']

export const health = z.strictObject({ status: z.literal('ok'), database: z.literal('connected') })
export const alive = z.strictObject({ status: z.literal('ok') })
