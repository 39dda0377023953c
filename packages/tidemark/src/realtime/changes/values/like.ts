/** What a pattern asks of one character: this one, any one, or any number of any. */
type Piece = { readonly literal: string } | 'one' | 'many'

/** Takes the pattern apart; undefined where it ends in an escape, which Postgres refuses. */
const piecesOf = (pattern: string): readonly Piece[] | undefined => {
  const pieces: Piece[] = []
  const characters = [...pattern]
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] as string
    if (character === '%') {
      if (pieces.at(-1) !== 'many') pieces.push('many')
    } else if (character === '_') pieces.push('one')
    else if (character !== '\\') pieces.push({ literal: character })
    else {
      at += 1
      const escaped = characters[at]
      if (escaped === undefined) return undefined
      pieces.push({ literal: escaped })
    }
  }
  return pieces
}

/**
 * Tells whether a text is LIKE the pattern, by characters as they stand (a deterministic collation); undefined for a pattern that Postgres
 * refuses. Takes time in proportion to text times pattern at most.
 */
export const createLike = (pattern: string): ((text: string) => boolean) | undefined => {
  const pieces = piecesOf(pattern)
  if (!pieces) return undefined
  return (text) => {
    const characters = [...text]
    let [at, piece] = [0, 0]
    // Where the last `%` was, and how far it reached: only the last one ever has to be tried again.
    let [retryPiece, retryAt] = [-1, 0]
    while (at < characters.length) {
      const wanted = pieces[piece]
      if (wanted === 'many') {
        retryPiece = piece
        retryAt = at
        piece += 1
      } else if (wanted === 'one' || (wanted !== undefined && wanted.literal === characters[at])) {
        at += 1
        piece += 1
      } else if (retryPiece >= 0) {
        retryAt += 1
        at = retryAt
        piece = retryPiece + 1
      } else return false
    }
    while (pieces[piece] === 'many') piece += 1
    return piece === pieces.length
  }
}
