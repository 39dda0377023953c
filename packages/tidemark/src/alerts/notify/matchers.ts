import { TidemarkError } from '../../errors.js'
import type { AlertLabels } from '../alerts.js'

const matcherOps = ['=', '!=', '=~', '!~'] as const

/** One demand on a label. `=~` takes `*` for any text, and is anchored at both ends. */
export interface Matcher {
  readonly label: string
  readonly op: (typeof matcherOps)[number]
  readonly value: string
}

const form = /^\s*([A-Za-z_][\w.-]*)\s*(=~|!~|!=|=)\s*(.*?)\s*$/s

/** `alert_type=disk`, `entity_id!=eu`, `alert_type=~feed*`. Raises TM_ALERTS_MATCHER. */
export const parseMatcher = (text: string): Matcher => {
  const [, label, op, value] = form.exec(text) ?? []
  if (label === undefined || op === undefined || value === undefined || value === '')
    throw new TidemarkError('TM_ALERTS_MATCHER', { matcher: text.slice(0, 200) })
  return { label, op: op as Matcher['op'], value }
}

/** Whether the pattern, in which `*` is any text, is the whole of it. Takes time in proportion to both lengths, whatever is in them. */
export const globMatches = (pattern: string, text: string): boolean => {
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      resume = t
    } else if (p < pattern.length && pattern[p] === text[t]) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

const holds = ({ label, op, value }: Matcher, labels: AlertLabels): boolean => {
  const given = labels[label] ?? ''
  if (op === '=') return given === value
  if (op === '!=') return given !== value
  return globMatches(value, given) === (op === '=~')
}

/** Whether all of them hold. */
export const matchesAll = (matchers: readonly Matcher[], labels: AlertLabels): boolean =>
  matchers.every((matcher) => holds(matcher, labels))
