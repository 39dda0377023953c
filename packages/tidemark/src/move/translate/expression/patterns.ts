import { foldAscii } from '../../../sqlite/tokenize.js'
import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'
import { allImmutable, asText, boolean, type Operand, wrap } from './operand.js'

const lowered = (o: Operand): string => `lower(${wrap(o)} COLLATE "C")`

const hasLetters = (text: string): boolean => /[a-z]/i.test(text)

/** An escape character that stands before nothing is no match in SQLite and an error in Postgres. */
const endsInEscape = (pattern: string, escaping: string): boolean => {
  let i = 0
  while (i < pattern.length) i += pattern.startsWith(escaping, i) ? escaping.length + 1 : 1
  return i > pattern.length
}

const escapeCharacter = (escaping: Operand | null, pattern: Operand): string => {
  if (!escaping) return ''
  const character = escaping.literal
  if (typeof character !== 'string' || [...character].length !== 1)
    return refuse('LIKE has an ESCAPE that is not one constant character')
  if (hasLetters(character) || character === '%' || character === '_')
    return refuse('LIKE has a letter or a wildcard as its ESCAPE')
  if (typeof pattern.literal !== 'string') return refuse('LIKE has an ESCAPE and a pattern that is computed')
  if (endsInEscape(pattern.literal, character)) return refuse('the pattern of LIKE ends in its escape character')
  return character
}

/** SQLite's LIKE takes A for a and no other letters for each other, and has no escape character unless one is named. */
export const like = (text: Operand, pattern: Operand, escaping: Operand | null): Operand => {
  if (text.kind === 'blob' || pattern.kind === 'blob') return refuse('LIKE is applied to a blob')
  if (text.kind === 'null' || pattern.kind === 'null') return boolean('NULL::boolean', true, true)
  const subject = asText(text, 'LIKE')
  const wanted = asText(pattern, 'LIKE')
  const escapeSql = quoteLiteral(escapeCharacter(escaping, wanted))
  const immutable = allImmutable(subject, wanted)
  if (typeof wanted.literal !== 'string')
    return boolean(`${lowered(subject)} LIKE ${lowered(wanted)} ESCAPE ${escapeSql}`, immutable)
  const caseless = hasLetters(wanted.literal) ? lowered(subject) : wrap(subject)
  return boolean(`${caseless} LIKE ${quoteLiteral(foldAscii(wanted.literal))} ESCAPE ${escapeSql}`, immutable)
}

/** One `[…]` of GLOB as a bracket expression, and where it ends; refuses the forms that differ. */
const globSet = (pattern: string, at: number): { readonly regex: string; readonly end: number } => {
  const set = /^\[(\^?)([A-Za-z0-9 _.,:;@#$%&+/=~!'"-]+)\]/.exec(pattern.slice(at))
  const members = set?.[2]
  // A hyphen may stand between two letters or digits, or at the end.
  if (!set || members === undefined || !/^(?:[A-Za-z0-9]-[A-Za-z0-9]|[^-])*-?$/.test(members) || /[.:=][.:=]/.test(members))
    return refuse(`the set in the GLOB pattern ${pattern} has no sure counterpart`)
  for (const range of members.matchAll(/(.)-(.)/g))
    if ((range[1] ?? '') > (range[2] ?? ''))
      return refuse(`the set in the GLOB pattern ${pattern} has a range that runs backwards`)
  return { regex: `[${set[1]}${members}]`, end: at + set[0].length }
}

/** The regular expression that matches what a GLOB pattern does. */
export const globToRegex = (pattern: string): string => {
  let regex = ''
  for (let i = 0; i < pattern.length; ) {
    const c = pattern.charAt(i)
    if (c === '[') {
      const set = globSet(pattern, i)
      regex += set.regex
      i = set.end
      continue
    }
    regex += c === '*' ? '.*' : c === '?' ? '.' : c.replace(/[\\^$.|()[\]{}+]/, '\\$&')
    i++
  }
  // A leading *** would switch the flavour of the expression; the group keeps it from standing first.
  return `^(?:${regex})$`
}

/** SQLite's GLOB, which minds letter case. Only constant patterns. */
export const glob = (text: Operand, pattern: Operand): Operand => {
  if (text.kind === 'null') return boolean('NULL::boolean', true, true)
  if (text.kind === 'blob' || typeof pattern.literal !== 'string')
    return refuse('GLOB has a pattern that is computed, or is applied to a blob')
  const subject = asText(text, 'GLOB')
  return boolean(`${wrap(subject)} COLLATE "C" ~ ${quoteLiteral(globToRegex(pattern.literal))}`, subject.immutable)
}
