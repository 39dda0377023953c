import type { DeadReason, EventStatus } from '../webhooks.js'

/** Which events are meant. What is left out does not matter; what is given has to be true all at once. */
export interface Selection {
  readonly ids?: readonly string[] | undefined
  readonly provider?: string | undefined
  readonly type?: string | undefined
  readonly status?: readonly EventStatus[] | undefined
  readonly reason?: DeadReason | undefined
  /** The provider's id of what they are about. */
  readonly entity?: string | undefined
  /** ISO 8601; received at or after. */
  readonly since?: string | undefined
  /** ISO 8601; received before. */
  readonly until?: string | undefined
}

export interface Where {
  readonly text: string
  readonly values: readonly unknown[]
}

/** The condition on `webhook_events` for a selection. Values are parameters, from `$<from>` on. */
export const whereOf = (selection: Selection, from = 1): Where => {
  const parts: string[] = []
  const values: unknown[] = []
  const add = (value: unknown, textOf: (parameter: string) => string): void => {
    if (value === undefined) return
    values.push(value)
    parts.push(textOf(`$${from + values.length - 1}`))
  }
  add(selection.ids, (parameter) => `id = any (${parameter}::uuid[])`)
  add(selection.provider, (parameter) => `provider = ${parameter}`)
  add(selection.type, (parameter) => `event_type = ${parameter}`)
  add(selection.status, (parameter) => `status = any (${parameter}::text[])`)
  add(selection.reason, (parameter) => `dead_reason = ${parameter}`)
  add(selection.entity, (parameter) => `entity_id = ${parameter}`)
  add(selection.since, (parameter) => `received_at >= ${parameter}::timestamptz`)
  add(selection.until, (parameter) => `received_at < ${parameter}::timestamptz`)
  return { text: parts.length === 0 ? 'true' : parts.join(' and '), values }
}

/** What can be sent again: everything that does not wait for its turn already. */
export const replayable: readonly EventStatus[] = ['dead', 'failed', 'processed']

/** What a replay of a selection means: dead letters, unless it says otherwise. What waits for its turn has nothing to be repeated. */
export const replaySelection = (selection: Selection): Selection => ({
  ...selection,
  status: (selection.status ?? ['dead']).filter((status) => replayable.includes(status)),
})
