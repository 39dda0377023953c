import type { EventView } from 'tidemark/admin'
import type { StatusKind } from '../../parts/status.tsx'

const kinds: Readonly<Record<EventView['status'], StatusKind>> = {
  accepted: 'info',
  processing: 'busy',
  processed: 'ok',
  failed: 'warn',
  dead: 'bad',
}

export const statusKind = (status: EventView['status']): StatusKind => kinds[status]
