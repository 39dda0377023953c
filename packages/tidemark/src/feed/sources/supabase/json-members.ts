/**
 * JSON taken apart without reading its values: a number that JavaScript cannot hold keeps its digits. For texts that JSON.parse has accepted.
 */

const endOfString = (text: string, at: number): number => {
  for (let end = at + 1; end < text.length; end += 1) {
    if (text[end] === '\\') end += 1
    else if (text[end] === '"') return end + 1
  }
  return text.length
}

/** Where the value ends that begins at `at`. */
const endOfValue = (text: string, at: number): number => {
  let depth = 0
  for (let end = at; end < text.length; ) {
    const character = text[end]
    if (character === '"') {
      end = endOfString(text, end)
      if (depth === 0) return end
      continue
    }
    if (character === '{' || character === '[') depth += 1
    if (character === '}' || character === ']') {
      if (depth === 0) return end
      depth -= 1
      if (depth === 0) return end + 1
    }
    if (character === ',' && depth === 0) return end
    end += 1
  }
  return text.length
}

const skipBlanks = (text: string, at: number): number => {
  let next = at
  while (/[\s,:]/.test(text[next] ?? '')) next += 1
  return next
}

/** The values of an array, each as it is written. */
export const jsonElements = (text: string): string[] => {
  const elements: string[] = []
  for (let at = skipBlanks(text, text.indexOf('[') + 1); at < text.length && text[at] !== ']'; ) {
    const end = endOfValue(text, at)
    elements.push(text.slice(at, end).trim())
    at = skipBlanks(text, end)
  }
  return elements
}

/** The members of an object, each value as it is written. */
export const jsonMembers = (text: string): Map<string, string> => {
  const members = new Map<string, string>()
  for (let at = skipBlanks(text, text.indexOf('{') + 1); at < text.length && text[at] !== '}'; ) {
    const nameEnd = endOfString(text, at)
    const from = skipBlanks(text, nameEnd)
    const end = endOfValue(text, from)
    members.set(JSON.parse(text.slice(at, nameEnd)) as string, text.slice(from, end).trim())
    at = skipBlanks(text, end)
  }
  return members
}
