/** What requests may hold. The sizes of texts are checked where they are kept. */
import { createInput } from 'tidemark/app'
import { z } from 'zod'
import { ChatError } from './chat-error.js'
import { limits } from './limits.js'

const metadata = z.record(z.string(), z.unknown())

export const newChat = z.strictObject({ title: z.string().optional(), metadata: metadata.optional() }).default({})

export const chatChange = z
  .strictObject({
    title: z.string().optional(),
    status: z.enum(['active', 'archived']).optional(),
    metadata: metadata.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'give title, status or metadata')

export const newMessage = z.strictObject({
  role: z.enum(['user', 'assistant', 'system', 'tool']).default('user'),
  content: z.string(),
  client_message_id: z.string().optional(),
  metadata: metadata.optional(),
})

export const messageChange = z.strictObject({ content: z.string() })

const limit = z.coerce.number().int().min(1).max(limits.largestPage).default(limits.page)
const seq = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional()

export const listQuery = z.strictObject({
  status: z.enum(['active', 'archived']).default('active'),
  cursor: z.string().max(200).optional(),
  limit,
})

export const pageQuery = z
  .strictObject({ before: seq, after: seq, limit })
  .refine(({ before, after }) => before === undefined || after === undefined, 'before and after exclude each other')

export const { parse, parsePlace } = createInput(ChatError)
