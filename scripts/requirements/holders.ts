import { testNamesOf } from './test-names.ts'

/** A test, a group of tests, or (without a name) a whole program that says that it holds something. */
export interface Holder {
  readonly path: string
  readonly name?: string
}

/** R12, C3 and the numbers of invariants, as they stand in the names of tests. */
const numbers = /(?<![\w-])(?:[RC]\d{1,3}|(?:FEED|CACHE|MOVE|RT|HOOK|ALERT|SEC)-\d+)(?![\w-])/g

const numbersIn = (name: string): readonly string[] => [...name.matchAll(numbers)].map(([number]) => number)

/** Who holds what, by number, in the order of the files. */
export const holdersOf = (files: Iterable<readonly [path: string, source: string]>): ReadonlyMap<string, readonly Holder[]> => {
  const holders = new Map<string, Holder[]>()
  const add = (ids: readonly string[], holder: Holder): void => {
    for (const id of new Set(ids)) holders.set(id, [...(holders.get(id) ?? []), holder])
  }
  for (const [path, source] of files) {
    const { tests, marks } = testNamesOf(path, source)
    add(marks, { path })
    for (const { name, marks } of tests) add([...numbersIn(name), ...marks], { path, name })
  }
  return holders
}
