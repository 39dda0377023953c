import type { StatusKind } from '../../parts/status.tsx'

const kinds: Readonly<Record<string, StatusKind>> = {
  completed: 'ok',
  synced: 'ok',
  confirmed: 'ok',
  converted: 'ok',
  approved: 'ok',
  sent: 'ok',
  idle: 'ok',
  active: 'ok',
  in_progress: 'busy',
  arrived: 'busy',
  sending: 'busy',
  busy: 'busy',
  processing: 'busy',
  running: 'busy',
  pending: 'warn',
  retrying: 'warn',
  waiting: 'warn',
  error: 'bad',
  failed: 'bad',
  lost: 'bad',
  rejected: 'bad',
  scheduled: 'info',
  new: 'info',
  contacted: 'info',
  qualified: 'info',
  nurturing: 'info',
  queued: 'info',
}

/** Of a state of any of the five. */
export const kindOf = (state: string): StatusKind => kinds[state] ?? 'idle'
