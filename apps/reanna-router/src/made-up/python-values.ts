/** Values as the Python application writes them into its SQLite file. */

/**
 * `datetime.isoformat()` of a naive UTC time: microseconds are written only where there are any.
 * `zone: 'Z'` is what newer releases write.
 */
export const isoTime = (ms: number, microseconds = 0, zone: '' | 'Z' = ''): string => {
  const seconds = new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)
  return `${seconds}${microseconds > 0 ? `.${String(microseconds).padStart(6, '0')}` : ''}${zone}`
}

const escaped = (text: string): string =>
  JSON.stringify(text).replace(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** `json.dumps`: blanks after commas and colons, everything beyond ASCII escaped. */
export const pythonJson = (value: unknown): string => {
  if (typeof value === 'string') return escaped(value)
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([key, member]) => `${escaped(key)}: ${pythonJson(member)}`)
    return `{${members.join(', ')}}`
  }
  return JSON.stringify(value)
}

/** `str()` of a dictionary, which somebody once stored in place of JSON. */
export const pythonRepr = (value: unknown): string =>
  pythonJson(value).replaceAll('"', "'").replaceAll('true', 'True').replaceAll('false', 'False').replaceAll('null', 'None')
