import { closest } from '../closest.js'

/** The first name in an object of settings that nobody knows, and which was meant; undefined where all are known. Values are never quoted. */
export const unknownMember = (settings: object, known: readonly string[]): string | undefined => {
  const name = Object.keys(settings).find((each) => !known.includes(each))
  if (name === undefined) return undefined
  const meant = closest(name, known)
  return `nobody knows "${name.slice(0, 60)}" (${meant === undefined ? `there are ${known.join(', ')}` : `did you mean "${meant}"?`})`
}
