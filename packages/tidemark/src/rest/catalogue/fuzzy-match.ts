export interface FuzzyMatch {
  readonly name: string
  /** From 0 to 1; 1 for the same word but for its case. */
  readonly score: number
}

/** Longer words are no typing mistakes, and would be slow to compare. */
const maxLength = 200
const maxNames = 2_000
const maxCandidates = 50
const gramSizes = [3, 2] as const

const gramsOf = (word: string, size: number): ReadonlyMap<string, number> => {
  const text = [...`-${word.replace(/[^\p{L}\p{N}\s,]/gu, '')}-`]
  const grams = new Map<string, number>()
  for (let at = 0; at + size <= text.length; at += 1) {
    const gram = text.slice(at, at + size).join('')
    grams.set(gram, (grams.get(gram) ?? 0) + 1)
  }
  return grams
}

const lengthOf = (grams: ReadonlyMap<string, number>): number => Math.sqrt([...grams.values()].reduce((sum, n) => sum + n * n, 0))

const cosine = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number => {
  let product = 0
  for (const [gram, count] of a) product += count * (b.get(gram) ?? 0)
  return product === 0 ? 0 : product / (lengthOf(a) * lengthOf(b))
}

/** Levenshtein's distance as a likeness: 1 for the same, 0 for nothing in common. */
const likeness = (from: string, to: string): number => {
  const [a, b] = [[...from], [...to]]
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  a.forEach((letter, row) => {
    const next = [row + 1]
    b.forEach((other, column) => {
      const change = previous[column]! + (letter === other ? 0 : 1)
      next.push(Math.min(change, previous[column + 1]! + 1, next[column]! + 1))
    })
    previous = next
  })
  return 1 - previous[b.length]! / Math.max(a.length, b.length, 1)
}

const byScore = (a: FuzzyMatch, b: FuzzyMatch): number => b.score - a.score

const matchesOfSize = (word: string, names: readonly string[], size: number, minScore: number): readonly FuzzyMatch[] => {
  const grams = gramsOf(word, size)
  return names
    .map((name) => ({ name, score: cosine(grams, gramsOf(name.toLowerCase(), size)) }))
    .filter(({ score }) => score > 0)
    .sort(byScore)
    .slice(0, maxCandidates)
    .map(({ name }) => ({ name, score: likeness(word, name.toLowerCase()) }))
    .sort(byScore)
    .filter(({ score }) => score >= minScore)
}

/**
 * The names that resemble a word, the nearest first, as PostgREST finds them for its hints: shared trigrams (or else pairs of letters)
 * choose the candidates, the number of letters to change ranks them.
 */
export const fuzzyMatches = (text: string, given: Iterable<string>, minScore = 0.33): readonly FuzzyMatch[] => {
  const names = [...new Set(given)]
  if (text.length > maxLength || names.length > maxNames) return []
  const word = text.toLowerCase()
  const same = names.find((name) => name.toLowerCase() === word)
  if (same !== undefined) return [{ name: same, score: 1 }]
  for (const size of gramSizes) {
    const found = matchesOfSize(word, names, size, minScore)
    if (found.length > 0) return found
  }
  return []
}
