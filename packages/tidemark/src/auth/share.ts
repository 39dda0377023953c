/** Runs work under a key, unless it is under way: then what comes of that is the answer. */
export type Share = <T>(key: string, work: () => Promise<T>) => Promise<T>

export const createShare = (): Share => {
  const underWay = new Map<string, Promise<unknown>>()
  return <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const known = underWay.get(key) as Promise<T> | undefined
    if (known) return known
    const begun = work().finally(() => underWay.delete(key))
    underWay.set(key, begun)
    return begun
  }
}
