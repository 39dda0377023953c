import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback } from 'react'

type Search = Readonly<Record<string, unknown>>

/**
 * A screen's filters: they live in the address, so that a link shows what its sender saw. `read` makes them of whatever stands there;
 * `set` changes some, `undefined` takes one out.
 */
export const useFilters = <F extends object>(
  read: (search: Search) => F,
): readonly [filters: F, set: (change: { readonly [K in keyof F]?: F[K] | undefined }) => void] => {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const set = useCallback(
    (change: object) => {
      const next = (before: Search): Search =>
        Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== undefined && value !== ''))
      void navigate({ to: '.', search: next as never, replace: true })
    },
    [navigate],
  )
  return [read(search), set]
}

/** For {@link useFilters}: a text of the address, where it is one. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined

/** For {@link useFilters}: JSON as text. The router gives back what it reads where the address holds some. */
export const jsonOf = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : textOf(value)

/** For {@link useFilters}: one of a few words, else the first. */
export const wordOf = <T extends string>(value: unknown, words: readonly [T, ...T[]]): T =>
  words.find((word) => word === value) ?? words[0]
