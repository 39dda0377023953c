import { textOf, useFilters, wordOf } from '../../shell/filters.ts'

export const systems = ['tours', 'leads', 'yarn', 'chat', 'agents'] as const

export interface SystemsFilters {
  readonly system: (typeof systems)[number]
  /** `2026-11-22`; undefined is today. */
  readonly day: string | undefined
  /** Of the approval that is open. */
  readonly approval: string | undefined
}

const dayForm = /^\d{4}-\d{2}-\d{2}$/

const read = (search: Readonly<Record<string, unknown>>): SystemsFilters => {
  const day = textOf(search['day'])
  return {
    system: wordOf(search['system'], systems),
    day: day !== undefined && dayForm.test(day) && !Number.isNaN(Date.parse(day)) ? day : undefined,
    approval: textOf(search['approval']),
  }
}

export const useSystemsFilters = () => useFilters(read)
