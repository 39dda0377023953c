/** Whether arrays and objects of a JSON text are inside each other more deeply than that. */
export const isDeeperThan = (text: string, most: number): boolean => {
  if (text.length <= most) return false
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case 34: // A text: up to the quote that no backslash precedes.
        at += 1
        while (at < text.length && text.charCodeAt(at) !== 34) at += text.charCodeAt(at) === 92 ? 2 : 1
        break
      case 91:
      case 123:
        depth += 1
        if (depth > most) return true
        break
      case 93:
      case 125:
        depth -= 1
    }
  }
  return false
}
