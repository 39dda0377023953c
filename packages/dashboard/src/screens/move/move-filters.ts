import { textOf, useFilters, wordOf } from '../../shell/filters.ts'

const moveTabs = ['tables', 'mismatches', 'rejects', 'plan', 'history'] as const

export type MoveTab = (typeof moveTabs)[number]

export interface MoveFilters {
  /** Path of the SQLite file on the server's machine. */
  readonly file: string | undefined
  readonly tab: MoveTab
}

const read = (search: Readonly<Record<string, unknown>>): MoveFilters => ({
  file: textOf(search['file']),
  tab: wordOf(search['tab'], moveTabs),
})

export const useMoveFilters = () => useFilters(read)
