import type { Holder } from '../requirements/holders.ts'

const isInvariant = (id: string): boolean => /^[A-Z]+-\d+$/.test(id)

/** Each section begins with the number of an invariant. */
const sectionsOf = (page: string): ReadonlyMap<string, string> =>
  new Map(
    page
      .split(/^### /m)
      .slice(1)
      .map((text) => [text.split(/\s/)[0]!, text] as const),
  )

/** That every invariant is promised in words of its own, and that what is named to check it does hold it. */
export const guaranteeProblems = (
  page: string,
  ids: readonly string[],
  held: ReadonlyMap<string, readonly Holder[]>,
): readonly string[] => {
  const sections = sectionsOf(page)
  const wanted = ids.filter(isInvariant)
  return [
    ...wanted.flatMap((id) => {
      const text = sections.get(id)
      if (text === undefined) return [`docs/guarantees.md says nothing of ${id}.`]
      const names = (held.get(id) ?? []).map(({ path }) => path)
      return names.some((path) => text.includes(path)) ? [] : [`docs/guarantees.md names no test of ${id} that holds it.`]
    }),
    ...[...sections.keys()]
      .filter((id) => !wanted.includes(id))
      .map((id) => `docs/guarantees.md has ${id}, which is no invariant.`),
  ]
}
