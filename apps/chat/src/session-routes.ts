import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering, contextOf, fromRead, fromWrite, type Read, type WrittenAt } from 'tidemark/app'
import { actAs } from './act-as.js'
import { deleted, type SessionPage, sessionPage } from './answers.js'
import type { RouteContext } from './app.js'
import { ChatError } from './chat-error.js'
import { chatChange, listQuery, newChat, parse } from './input.js'
import { sessionIdOf } from './legacy-ids.js'
import { limits } from './limits.js'
import { type Db, sessionRow } from './rows.js'
import { changeSession, createSession, cursorOf, deleteSession, recentSessions, undoDelete } from './sessions.js'

/** The chat that the address names, by its id or by the one it had in Redis. */
export const chatOf = (request: FastifyRequest): string => sessionIdOf((request.params as { readonly id: string }).id)

/** The first so many of a page that holds at least as many as there are, or more. */
const firstOf = ({ chats, next }: SessionPage, limit: number): SessionPage =>
  chats.length <= limit ? { chats, next } : { chats: chats.slice(0, limit), next: cursorOf(chats[limit - 1]!) }

export const addSessionRoutes = (app: FastifyInstance, { db, reads, writes, undoMs }: RouteContext): void => {
  const writeAs = <T>({ caller, id }: FastifyRequest, fn: (tx: Db) => Promise<T>): Promise<WrittenAt<T>> =>
    writes.write(async (tx) => {
      await actAs(tx, caller.userId, id)
      return fn(tx)
    })

  app.get(
    '/chats',
    answering(
      sessionPage,
      { summary: 'Chats of the caller, the newest message first.', query: listQuery },
      async (request, reply) => {
        const { userId } = request.caller
        const { status, cursor, limit } = parse(listQuery, request.query)
        const context = contextOf(request)
        // Kept are the newest active ones, as many as a page has by default.
        if (status === 'active' && cursor === undefined && limit <= limits.page)
          return firstOf(fromRead(reply, await reads.listRecent(userId, context)), limit)
        const page = await recentSessions(db, userId, { status, limit, ...(cursor !== undefined && { cursor }) })
        return fromRead(reply, { value: page, cache: 'MISS' } satisfies Read<SessionPage>)
      },
    ),
  )

  app.post(
    '/chats',
    answering(sessionRow, { summary: 'A new chat.', body: newChat }, async (request, reply) => {
      const body = parse(newChat, request.body ?? undefined)
      const written = await writeAs(request, (tx) => createSession(tx, request.caller.userId, body))
      reply.status(201)
      return fromWrite(reply, written)
    }),
  )

  app.get(
    '/chats/:id',
    answering(sessionRow, { summary: 'A chat.' }, async (request, reply) => {
      const session = fromRead(reply, await reads.session(request.caller.userId, chatOf(request), contextOf(request)))
      if (!session) throw new ChatError('CHAT_NOT_FOUND')
      return session
    }),
  )

  app.patch(
    '/chats/:id',
    answering(
      sessionRow,
      { summary: 'Renames a chat, puts it away, brings it back.', body: chatChange },
      async (request, reply) => {
        const change = parse(chatChange, request.body)
        return fromWrite(reply, await writeAs(request, (tx) => changeSession(tx, request.caller.userId, chatOf(request), change)))
      },
    ),
  )

  app.delete(
    '/chats/:id',
    answering(deleted, { summary: 'Deletes a chat, which can be taken back for a while.' }, async (request, reply) => {
      const options = { requestId: request.id, ...(undoMs !== undefined && { undoMs }) }
      return fromWrite(reply, await writes.write((tx) => deleteSession(tx, request.caller.userId, chatOf(request), options)))
    }),
  )

  app.post(
    '/chats/:id/undo',
    answering(sessionRow, { summary: 'Takes a deletion back.' }, async (request, reply) =>
      fromWrite(reply, await writes.write((tx) => undoDelete(tx, request.caller.userId, chatOf(request), request.id))),
    ),
  )
}
