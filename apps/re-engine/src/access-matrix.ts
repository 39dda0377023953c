import { randomUUID } from 'node:crypto'
import { accessMatrix } from 'tidemark/testing'

const agent = (sub: string, claims: object = {}) => ({ role: 'authenticated', claims: { sub, ...claims } })

const admin = agent('boss', { app_metadata: { role: 'admin' } })
const pretender = agent('nobody', { user_metadata: { role: 'admin' }, app_metadata: { role: 'agent' } })

const read = { select: 'own', insert: 'none', update: 'none', delete: 'none' } as const
const work = { select: 'own', insert: 'own', update: 'own', delete: 'none' } as const
const write = { select: 'own', insert: 'own', update: 'own', delete: 'denied' } as const
const note = { select: 'own', insert: 'own', update: 'denied', delete: 'denied' } as const
const look = { select: 'own', insert: 'denied', update: 'denied', delete: 'denied' } as const
const none = { select: 'none', insert: 'none', update: 'denied', delete: 'denied' } as const

/** Who may do what over the API. */
export const matrix = accessMatrix({
  owners: ['agent123', 'agent999'],
  callers: {
    anon: { role: 'anon' },
    agent: { ...agent('agent123'), owner: 'agent123' },
    colleague: { ...agent('agent999'), owner: 'agent999' },
    admin,
    pretender,
    service: { role: 'service_role' },
  },
  tables: {
    agents: {
      row: () => ({ name: 'Ana Li', email: `${randomUUID()}@example.com` }),
      seed: ({ owner }) => ({ external_id: owner }),
      access: { anon: 'denied', agent: read, colleague: read, admin: 'all', pretender: 'none', service: 'all' },
    },
    leads: {
      row: ({ rows }) => ({
        first_name: 'Ana',
        last_name: 'Li',
        email: `${randomUUID()}@example.com`,
        assigned_agent: rows['agents']?.['id'],
      }),
      owner: 'assigned_agent',
      access: { anon: 'denied', agent: work, colleague: work, admin: 'all', pretender: 'none', service: 'all' },
    },
    approvals: {
      row: ({ rows }) => ({
        lead_id: rows['leads']?.['id'],
        channel: 'email',
        draft_to: 'ana@example.com',
        draft_text: 'Hello',
      }),
      owner: 'lead_id',
      access: {
        anon: 'denied',
        agent: write,
        colleague: write,
        admin: { select: 'all', insert: 'all', update: 'all', delete: 'denied' },
        pretender: { select: 'none', insert: 'none', update: 'none', delete: 'denied' },
        service: 'all',
      },
    },
    events: {
      row: ({ rows }) => ({ lead_id: rows['leads']?.['id'], event_type: 'note', source: 'agent', content: 'Called back.' }),
      access: {
        anon: 'denied',
        agent: note,
        colleague: note,
        admin: { select: 'all', insert: 'all', update: 'denied', delete: 'denied' },
        pretender: none,
        service: { select: 'all', insert: 'all', update: 'denied', delete: 'denied' },
      },
    },
    analytics_lead_daily: {
      row: ({ owner }) => ({ day: '2026-11-23', source: owner, new_leads: 1 }),
      access: {
        anon: 'denied',
        agent: { ...look, select: 'none' },
        colleague: { ...look, select: 'none' },
        admin: { ...look, select: 'all' },
        pretender: { ...look, select: 'none' },
        service: { ...look, select: 'all' },
      },
    },
    analytics_agent_daily: {
      row: ({ rows }) => ({ day: '2026-11-23', agent_id: rows['agents']?.['id'] }),
      owner: 'agent_id',
      access: {
        anon: 'denied',
        agent: look,
        colleague: look,
        admin: { ...look, select: 'all' },
        pretender: { ...look, select: 'none' },
        service: { ...look, select: 'all' },
      },
    },
  },
})
