const paths = /'[A-Z]+ (\/[\w/:-]+)'/g

/** Whoever speaks with the admin API finds each of its paths on the page. `source` names them as `'METHOD /path'`. */
export const adminRowProblems = (page: string, source: string): readonly string[] => {
  const named = new Set([...page.matchAll(/`(?:[A-Z]+ )?(\/[\w/:-]+)[`?]/g)].map((match) => match[1]!))
  const there = new Set([...source.matchAll(paths)].map((match) => match[1]!))
  return [...there].filter((path) => !named.has(path)).map((path) => `docs/admin.md has no row for ${path}.`)
}
