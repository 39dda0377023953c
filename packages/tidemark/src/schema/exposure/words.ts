/** `a`, `a and b`, `a, b and c`. */
export const joined = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`

/** The verb's form that fits so many subjects. */
export const verb = (subjects: readonly string[], one: string, many: string): string => (subjects.length === 1 ? one : many)
