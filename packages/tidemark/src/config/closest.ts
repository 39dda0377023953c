/** Number of letters to insert, delete, replace or swap with their neighbour to come from one word to the other. */
const distance = (from: string, to: string): number => {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const differs = from[i - 1] === to[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      row[j] = Math.min(
        rows[i - 1]![j]! + 1,
        row[j - 1]! + 1,
        rows[i - 1]![j - 1]! + differs,
        swapped ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY,
      )
    }
    rows.push(row)
  }
  return rows[from.length]![to.length]!
}

/** The known word that was most likely meant, where one is near enough to be no guess. */
export const closest = (word: string, known: Iterable<string>): string | undefined => {
  let best: { name: string; distance: number } | undefined
  for (const name of known) {
    const found = distance(word.toLowerCase(), name.toLowerCase())
    if (found <= Math.max(1, Math.floor(name.length / 4)) && (best === undefined || found < best.distance))
      best = { name, distance: found }
  }
  return best?.name
}
