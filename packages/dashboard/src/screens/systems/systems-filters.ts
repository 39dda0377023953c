import { textOf, useFilters, wordOf } from '../../shell/filters.ts'

export const systems = ['tours', 'leads', 'yarn', 'chat', 'agents'] as const

export interface SystemsFilters {
  readonly system: (typeof systems)[number]
  /** `2026-11-22`; undefined is today. */
  readonly day: string | undefined
  /** Of the approval that is open. */
  readonly approval: string | undefined
  /** The number of the yarn that is open; it opens nothing but this panel. */
  readonly yarn: string | undefined
}

const dayForm = /^\d{4}-\d{2}-\d{2}$/

const read = (search: Readonly<Record<string, unknown>>): SystemsFilters => {
  const day = textOf(search['day'])
  const yarn = textOf(search['yarn'])
  return {
    system: wordOf(search['system'], systems),
    day: day !== undefined && dayForm.test(day) && !Number.isNaN(Date.parse(day)) ? day : undefined,
    approval: textOf(search['approval']),
    yarn: yarn !== undefined && /^\d{1,18}$/.test(yarn) ? yarn : undefined,
  }
}

export const useSystemsFilters = () => useFilters(read)
