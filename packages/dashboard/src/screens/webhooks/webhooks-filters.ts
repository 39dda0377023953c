import type { Input } from '../../api/ask.ts'
import { shellOptions } from '../../format/format.ts'
import { textOf, useFilters, wordOf } from '../../shell/filters.ts'

export const statuses = ['all', 'accepted', 'processing', 'processed', 'failed', 'dead'] as const

export interface WebhookFilters {
  readonly status: (typeof statuses)[number]
  readonly provider: string | undefined
  readonly type: string | undefined
  readonly entity: string | undefined
  /** Of the event that is open. */
  readonly id: string | undefined
}

const read = (search: Readonly<Record<string, unknown>>): WebhookFilters => ({
  status: wordOf(search['status'], statuses),
  provider: textOf(search['provider']),
  type: textOf(search['type']),
  entity: textOf(search['entity']),
  id: textOf(search['id']),
})

export const useWebhookFilters = () => useFilters(read)

type Selection = Omit<Input<'POST /hooks/list'>['body'], 'limit'>

/** The filters as the server takes them. */
export const selectionOf = ({ status, provider, type, entity }: WebhookFilters): Selection => ({
  ...(status !== 'all' && { status: [status] }),
  ...(provider !== undefined && { provider }),
  ...(type !== undefined && { type }),
  ...(entity !== undefined && { entity }),
})

/** The filters as the command line takes them. */
export const selectionOptions = ({ status, provider, type, entity }: WebhookFilters): string =>
  shellOptions({ status: status === 'all' ? undefined : status, provider, type, entity })
