import { randomUUID } from 'node:crypto'
import { accessMatrix } from 'tidemark/testing'

const alice = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1a01'
const bob = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1b02'

const user = (sub: string, claims: object = {}) => ({ role: 'authenticated', claims: { sub, ...claims } })

// Chats are their owner's alone: there is no admin among those who come over the API. What is deleted can be taken back, so nobody but the
// server has DELETE.
const own = { select: 'own', insert: 'own', update: 'own', delete: 'denied' } as const
const none = { select: 'none', insert: 'none', update: 'none', delete: 'denied' } as const
const chats = { anon: 'denied', alice: own, bob: own, admin: none, service: 'all', server: 'all' } as const

const closed = { anon: 'denied', alice: 'denied', bob: 'denied', admin: 'denied' } as const
const readable = { select: 'all', insert: 'denied', update: 'denied', delete: 'denied' } as const

/** Who may do what over the API. */
export const matrix = accessMatrix({
  owners: [alice, bob],
  callers: {
    anon: { role: 'anon' },
    alice: { ...user(alice), owner: alice },
    bob: { ...user(bob), owner: bob },
    admin: user('5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1c03', { app_metadata: { role: 'admin' } }),
    service: { role: 'service_role' },
    server: { role: 'tidemark_app' },
  },
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
