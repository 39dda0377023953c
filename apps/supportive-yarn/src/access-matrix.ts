import { randomUUID } from 'node:crypto'
import { accessMatrix, type RowOf } from 'tidemark/testing'

// The words of young people who gave no name: nobody but the server, whoever asks (C49).
const server = { anon: 'denied', user: 'denied', other: 'denied', admin: 'denied', service: 'all' } as const

const sessionOf = ({ rows }: RowOf) => ({ session_id: rows['sessions']?.['session_id'] })

/** Who may do what over the API. */
export const matrix = accessMatrix({
  owners: ['yarn-1', 'yarn-2'],
  callers: {
    anon: { role: 'anon' },
    user: { role: 'authenticated', claims: { sub: 'yarn-1' }, owner: 'yarn-1' },
    other: { role: 'authenticated', claims: { sub: 'yarn-2' }, owner: 'yarn-2' },
    admin: { role: 'authenticated', claims: { sub: 'boss', app_metadata: { role: 'admin' } } },
    service: { role: 'service_role' },
  },
  tables: {
    sessions: { row: ({ owner }) => ({ session_id: `${owner}-${randomUUID()}` }), access: server },
    chat_history: {
      row: (of) => ({ ...sessionOf(of), role: 'user', message: 'hey there' }),
      owner: 'session_id',
      access: server,
    },
    user_responses: {
      row: (of) => ({ ...sessionOf(of), step: 'goals' }),
      seed: () => ({ step: 'worries' }),
      owner: 'session_id',
      access: server,
    },
    risk_detections: {
      row: (of) => ({ ...sessionOf(of), trigger_phrase: 'x', user_message: 'y' }),
      owner: 'session_id',
      access: server,
    },
    session_summaries: {
      row: (of) => ({ ...sessionOf(of), summary_type: 'partial', summary_data: {} }),
      owner: 'session_id',
      access: server,
    },
    analytics: { row: () => ({ event_type: 'session_started' }), access: server },
    intent_classifications: {
      row: (of) => ({ ...sessionOf(of), user_message: 'x', classified_intent: 'y', method: 'rule_based' }),
      owner: 'session_id',
      access: server,
    },
    system_logs: {
      row: (of) => ({ ...sessionOf(of), log_level: 'INFO', component: 'x', message: 'y' }),
      owner: 'session_id',
      access: server,
    },
  },
  functions: { 'risk_tier(text)': ['service'] },
})
