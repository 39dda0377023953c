import type { Input } from '../../api/ask.ts'
import { shellOptions } from '../../format/format.ts'
import { textOf, useFilters, wordOf } from '../../shell/filters.ts'

export const protocols = ['all', 'supabase', 'pusher'] as const

/** `who` and `hears`, since the inspector's form has a user and a channel of its own in the same address. */
export interface ConnectionFilters {
  readonly node: string | undefined
  readonly protocol: (typeof protocols)[number]
  readonly who: string | undefined
  readonly hears: string | undefined
  /** Where the page begins. */
  readonly after: string | undefined
}

const read = (search: Readonly<Record<string, unknown>>): ConnectionFilters => ({
  node: textOf(search['node']),
  protocol: wordOf(search['protocol'], protocols),
  who: textOf(search['who']),
  hears: textOf(search['hears']),
  after: textOf(search['after']),
})

export const useConnectionFilters = () => useFilters(read)

const pageLength = 500

const wantedOf = ({ node, protocol, who, hears, after }: ConnectionFilters) => ({
  ...(node !== undefined && { node }),
  ...(protocol !== 'all' && { protocol }),
  ...(who !== undefined && { user: who }),
  ...(hears !== undefined && { channel: hears }),
  ...(after !== undefined && { after }),
})

/** The filters as the server takes them. */
export const queryOf = (filters: ConnectionFilters): Input<'GET /realtime/connections'>['query'] => ({
  ...wantedOf(filters),
  limit: pageLength,
})

/** The filters as the command line takes them. */
export const connectionOptions = (filters: ConnectionFilters): string =>
  shellOptions({ ...wantedOf(filters), limit: String(pageLength) })
