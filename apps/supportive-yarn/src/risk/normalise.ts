import { misspellings } from './phrases.js'

const joined: readonly (readonly [RegExp, string])[] = [
  [/\bmy self\b/g, 'myself'],
  [/\bany more\b/g, 'anymore'],
  [/\bno-one\b/g, 'no one'],
  [/\bcan not\b/g, 'cant'],
  [/\bdo not\b/g, 'dont'],
  [/\bwanting to\b/g, 'want to'],
  [/\bwants to\b/g, 'want to'],
  [/\bwanted to\b/g, 'want to'],
  [/\bi am\b/g, 'im'],
]

/** A message as words: lower case, apostrophes taken out, all other signs as blanks, letters drawn out (diiiie) shortened, misspellings righted. */
export const normalise = (message: string): readonly string[] => {
  const plain = message
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[\u0027\u2018\u2019\u201b\u02bc\u0060\u00b4]/g, '')
    .replaceAll(/[^\p{L}\p{N}-]+/gu, ' ')
    .replaceAll(/(\p{L})\1{2,}/gu, '$1')
  const text = joined.reduce((so, [pattern, by]) => so.replaceAll(pattern, by), plain).replaceAll('-', ' ')
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => (Object.hasOwn(misspellings, word) ? misspellings[word]! : word))
}
