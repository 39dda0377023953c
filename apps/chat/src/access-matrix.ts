import { randomInt, randomUUID } from 'node:crypto'
import { accessMatrix, people } from 'tidemark/testing'

// Chats are their owner's alone: there is no admin among those who come over the API. What is deleted can be taken back, so nobody but the
// server has DELETE.
const own = { select: 'own', insert: 'own', update: 'own', delete: 'denied' } as const
const none = { select: 'none', insert: 'none', update: 'none', delete: 'denied' } as const
const chats = { anon: 'denied', alice: own, bob: own, admin: none, pretender: none, service: 'all', server: 'all' } as const

const closed = { anon: 'denied', alice: 'denied', bob: 'denied', admin: 'denied', pretender: 'denied' } as const
const readable = { select: 'all', insert: 'denied', update: 'denied', delete: 'denied' } as const

/** Of no message. */
const blockOf = (first: number) => ({ first_seq: first, last_seq: first - 1 })

/** Who may do what over the API. */
export const matrix = accessMatrix({
  ...people,
  tables: {
    chat_sessions: { row: ({ owner }) => ({ user_id: owner, title: 'A chat' }), owner: 'user_id', access: chats },
    chat_messages: {
      row: ({ rows }) => ({ session_id: rows['chat_sessions']?.['id'], role: 'user', content: 'hello' }),
      owner: 'session_id',
      access: chats,
    },
    // Written by its triggers alone.
    chat_audit: {
      row: ({ rows }) => ({
        actor: 'x',
        action: 'delete',
        table_name: 'chat_sessions',
        record_id: rows['chat_sessions']?.['id'],
      }),
      access: { ...closed, service: readable, server: readable },
    },
    chat_import_runs: { row: () => ({}), access: { ...closed, service: 'all', server: 'all' } },
    chat_import_blocks: {
      row: ({ rows }) => ({
        run_id: rows['chat_import_runs']?.['id'],
        session_id: rows['chat_sessions']?.['id'],
        is_new: true,
        ...blockOf(randomInt(1, 2 ** 40)),
        version: 1,
      }),
      access: { ...closed, service: 'all', server: 'all' },
    },
    chat_import_rejects: {
      row: ({ rows }) => ({
        source_key: `chat:${randomUUID()}`,
        item: '',
        reason: 'x',
        outcome: 'rejected',
        run_id: rows['chat_import_runs']?.['id'],
      }),
      access: { ...closed, service: 'all', server: 'all' },
    },
  },
})
