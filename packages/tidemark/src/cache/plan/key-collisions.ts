/** Two entries must never make one key: in Redis each would answer with the other's values. */
import { TidemarkError } from '../../errors.js'
import type { KeyTemplate, PartForm } from './key-template.js'

export interface KeyMaker {
  readonly name: string
  readonly template: KeyTemplate
  /** Of each name of the template. */
  readonly forms: readonly PartForm[]
}

/** What stands between two colons: literal text before and after what is filled in; `forms` is empty where nothing is. */
interface Segment {
  readonly before: string
  readonly after: string
  readonly forms: readonly PartForm[]
}

const segmentsOf = ({ template, forms }: KeyMaker): readonly Segment[] => {
  const formOf = new Map(template.names.map((name, i) => [name, forms[i] ?? 'text'] as const))
  return template.text.split(':').map((text) => {
    const names = [...text.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name)
    const [before = '', after = ''] =
      names.length === 0 ? [text, ''] : [text.slice(0, text.indexOf('{')), text.slice(text.lastIndexOf('}') + 1)]
    return { before, after, forms: names.map((name) => formOf.get(name)!) }
  })
}

const patterns: Readonly<Record<PartForm, string>> = { text: '.*', integer: '-?\\d+', uuid: '[0-9a-f-]{36}' }

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

const matches = ({ before, after, forms }: Segment, literal: string): boolean =>
  new RegExp(`^${escaped(before)}${forms.map((form) => patterns[form]).join('.*')}${escaped(after)}$`).test(literal)

const overlap = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a)

const reversed = (text: string): string => [...text].reverse().join('')

const mayBeEqual = (a: Segment, b: Segment): boolean => {
  if (a.forms.length === 0) return b.forms.length === 0 ? a.before === b.before : matches(b, a.before)
  if (b.forms.length === 0) return matches(a, b.before)
  const isBare = [a, b].every(({ before, after, forms }) => before === '' && after === '' && forms.length === 1)
  // No whole number is a uuid.
  if (isBare && a.forms[0] !== b.forms[0] && !a.forms.includes('text') && !b.forms.includes('text')) return false
  return overlap(a.before, b.before) && overlap(reversed(a.after), reversed(b.after))
}

/** Whether some params of one and some of the other give one key. Colons in values are escaped, so that segments stay apart. */
export const mayCollide = (one: KeyMaker, other: KeyMaker): boolean => {
  const [a, b] = [segmentsOf(one), segmentsOf(other)]
  return a.length === b.length && a.every((segment, i) => mayBeEqual(segment, b[i]!))
}

/** Raises TM_CACHE_TEMPLATE. */
export const refuseCollisions = (makers: readonly KeyMaker[]): void => {
  for (const [i, one] of makers.entries())
    for (const other of makers.slice(0, i))
      if (mayCollide(one, other)) {
        const reason = `it can make the same key as "${other.template.text}" of ${other.name}`
        throw new TidemarkError('TM_CACHE_TEMPLATE', { template: one.template.text, reason })
      }
}
