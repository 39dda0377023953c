import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering, contextOf, fromRead, fromWrite, type Read } from 'tidemark/app'
import * as answers from './answers.js'
import type { RouteContext } from './app.js'
import { ChatError } from './chat-error.js'
import { messageChange, newMessage, pageQuery, parse } from './input.js'
import { isUuid } from './legacy-ids.js'
import { limits } from './limits.js'
import { appendMessage, deleteMessage, editMessage, messagePage } from './messages.js'
import { messageRow } from './rows.js'
import { chatOf } from './session-routes.js'

/** JSON may write each character with twelve bytes; metadata come beside them. */
const messageBodyLimit = 12 * limits.contentLength + 12 * limits.metadataBytes

const messageOf = (request: FastifyRequest): string => {
  const { messageId } = request.params as { readonly messageId: string }
  if (!isUuid(messageId)) throw new ChatError('CHAT_MESSAGE_NOT_FOUND')
  return messageId
}

/** The newest so many of the newest page. */
const lastOf = ({ messages, has_more }: answers.MessagePage, limit: number): answers.MessagePage =>
  messages.length <= limit ? { messages, has_more } : { messages: messages.slice(-limit), has_more: true }

const present = (page: answers.MessagePage | null): answers.MessagePage => {
  if (!page) throw new ChatError('CHAT_NOT_FOUND')
  return page
}

export const addMessageRoutes = (app: FastifyInstance, { db, reads, writes }: RouteContext): void => {
  app.get(
    '/chats/:id/messages',
    answering(answers.messagePage, { summary: 'Messages by number, oldest first.', query: pageQuery }, async (request, reply) => {
      const { userId } = request.caller
      const { before, after, limit } = parse(pageQuery, request.query)
      const context = contextOf(request)
      // Kept is the newest page of the default size.
      if (before === undefined && after === undefined && limit <= limits.page)
        return lastOf(present(fromRead(reply, await reads.firstPage(userId, chatOf(request), context))), limit)
      const page = await messagePage(db, userId, chatOf(request), { before, after, limit })
      return present(fromRead(reply, { value: page, cache: 'MISS' } satisfies Read<answers.MessagePage | null>))
    }),
  )

  app.post('/chats/:id/messages', {
    bodyLimit: messageBodyLimit,
    ...answering(
      messageRow,
      { summary: 'One more message; sent twice it is kept once.', body: newMessage },
      async (request, reply) => {
        const { userId, isService } = request.caller
        const { role, content, metadata, client_message_id: clientMessageId } = parse(newMessage, request.body)
        if (role !== 'user' && !isService) throw new ChatError('CHAT_FORBIDDEN')
        const message = { role, content, clientMessageId, metadata }
        const { message: kept, created } = fromWrite(
          reply,
          await writes.write((tx) => appendMessage(tx, userId, chatOf(request), message)),
        )
        reply.status(created ? 201 : 200)
        return kept
      },
    ),
  })

  app.patch('/chats/:id/messages/:messageId', {
    bodyLimit: messageBodyLimit,
    ...answering(messageRow, { summary: 'Other words for a message of a user.', body: messageChange }, async (request, reply) => {
      const { content } = parse(messageChange, request.body)
      const id = messageOf(request)
      return fromWrite(reply, await writes.write((tx) => editMessage(tx, request.caller.userId, chatOf(request), id, content)))
    }),
  })

  app.delete(
    '/chats/:id/messages/:messageId',
    answering(messageRow, { summary: 'Leaves of a message its number alone.' }, async (request, reply) => {
      const id = messageOf(request)
      return fromWrite(
        reply,
        await writes.write((tx) => deleteMessage(tx, request.caller.userId, chatOf(request), id, request.id)),
      )
    }),
  )
}
