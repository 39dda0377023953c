import { randomUUID } from 'node:crypto'
import { accessMatrix, people } from 'tidemark/testing'

// Nobody writes but the server and service_role. Agents, metrics and health are seen by whoever has signed in, a task by whose it is and by admins,
// and who has not signed in sees that there are tables, and no row.
const nothing = { select: 'none', insert: 'denied', update: 'denied', delete: 'denied' } as const
const readable = { select: 'all', insert: 'denied', update: 'denied', delete: 'denied' } as const
const own = { select: 'own', insert: 'denied', update: 'denied', delete: 'denied' } as const
const shown = {
  anon: nothing,
  alice: readable,
  bob: readable,
  admin: readable,
  pretender: readable,
  service: 'all',
  server: 'all',
} as const
/** Another window each time: an agent has one row for each. */
const anyWindow = () => {
  const start = Date.UTC(2026, 0, 1) + Math.floor(Math.random() * 1e9) * 1000
  return { period_start: new Date(start).toISOString(), period_end: new Date(start + 300_000).toISOString() }
}

/** Who may do what over the API. */
export const matrix = accessMatrix({
  ...people,
  tables: {
    agent_instances: { row: () => ({ agent_id: randomUUID(), agent_type: 'quiz_generator' }), access: shown },
    agent_executions: {
      row: ({ owner }) => ({ task_id: randomUUID(), agent_type: 'quiz_generator', task_type: 'quiz', user_id: owner }),
      owner: 'user_id',
      access: { ...shown, alice: own, bob: own, pretender: nothing },
    },
    agent_metrics: {
      row: ({ rows }) => ({
        agent_instance_id: rows['agent_instances']?.['id'],
        agent_type: 'quiz_generator',
        ...anyWindow(),
      }),
      access: shown,
    },
    system_health: { row: () => ({}), access: shown },
  },
  functions: {
    'get_agent_health_summary()': ['alice', 'bob', 'admin', 'pretender', 'service', 'server'],
    'agent_metrics_maintain(interval, timestamp with time zone)': ['service', 'server'],
  },
})
