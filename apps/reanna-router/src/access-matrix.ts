import { randomUUID } from 'node:crypto'
import { accessMatrix } from 'tidemark/testing'

const agent = (sub: string, claims: object = {}) => ({ role: 'authenticated', claims: { sub, ...claims } })

// An agent works on the tours of its own and on whatever hangs on them, an admin on all. What users write about themselves makes
// nobody an admin (C2), and ids of agents need not be uuids (C1).
const workers = {
  anon: 'denied',
  agent: 'own',
  colleague: 'own',
  admin: 'all',
  pretender: 'none',
  service: 'all',
} as const

const readsOwn = { select: 'own', insert: 'denied', update: 'denied', delete: 'denied' } as const
const readsAll = { select: 'all', insert: 'denied', update: 'denied', delete: 'denied' } as const
const readsNone = { select: 'none', insert: 'denied', update: 'denied', delete: 'denied' } as const

// The server alone writes what happened, and whom the CRMs know.
const readers = {
  anon: 'denied',
  agent: readsOwn,
  colleague: readsOwn,
  admin: readsAll,
  pretender: readsNone,
  service: 'all',
} as const

/** Who may do what over the API. */
export const matrix = accessMatrix({
  owners: ['agent123', 'agent999'],
  callers: {
    anon: { role: 'anon' },
    agent: { ...agent('agent123'), owner: 'agent123' },
    colleague: { ...agent('agent999'), owner: 'agent999' },
    admin: agent('boss', { app_metadata: { role: 'admin' } }),
    pretender: agent('nobody', { user_metadata: { role: 'admin' }, app_metadata: { role: 'agent' } }),
    service: { role: 'service_role' },
  },
  tables: {
    tours: {
      row: ({ owner }) => ({
        agent_id: owner,
        start_time: '2026-11-23T09:00+09:30',
        end_time: '2026-11-23T17:00+09:30',
        status: 'scheduled',
      }),
      owner: 'agent_id',
      access: workers,
    },
    property_visits: {
      row: ({ rows }) => ({
        tour_id: rows['tours']?.['id'],
        address: '1 Smith Street',
        scheduled_arrival: '2026-11-23T10:00+09:30',
        scheduled_departure: '2026-11-23T10:30+09:30',
        status: 'scheduled',
      }),
      owner: 'tour_id',
      access: workers,
    },
    tasks: {
      row: ({ rows }) => ({
        visit_id: rows['property_visits']?.['id'],
        task_type: 'property_tour',
        status: 'scheduled',
        scheduled_time: '2026-11-23T10:00+09:30',
      }),
      owner: 'visit_id',
      access: workers,
    },
    feedback: {
      row: ({ rows }) => ({ task_id: rows['tasks']?.['id'], raw_feedback: 'Liked the garden.', feedback_source: 'sms' }),
      owner: 'task_id',
      access: workers,
    },
    tour_journal: {
      row: ({ rows }) => ({ tour_id: rows['tours']?.['id'], subject: 'tour', entry: 'scheduled' }),
      owner: 'tour_id',
      access: readers,
    },
    leads: {
      row: ({ owner }) => ({ provider: 'gohighlevel', external_id: randomUUID(), agent_id: owner, as_of: '2026-11-23T00:00Z' }),
      owner: 'agent_id',
      access: readers,
    },
  },
})
