import { unknownMember } from '../../config/options/unknown-member.js'
import { TidemarkError } from '../../errors.js'
import type { AlertSeverity } from '../alerts.js'
import type { Condition, Level } from './condition.js'
import { defineRule, type LookFor, type Rule, type Span } from './rule.js'

/** What a project changes of a rule that is there. */
export interface Threshold extends Level {
  /** Nobody looks any more. */
  readonly off?: boolean
  readonly severity?: AlertSeverity
  readonly for?: Span
  readonly keepFiringFor?: Span
}

const members = [
  'off',
  'above',
  'below',
  'back',
  'severity',
  'for',
  'keepFiringFor',
] as const satisfies readonly (keyof Threshold)[]

const isLevelled = (condition: Condition | LookFor): boolean => typeof condition === 'object' && !('health' in condition)

const movedTo = (condition: Condition | LookFor, level: Level): Condition | LookFor =>
  isLevelled(condition) ? ({ ...(condition as Condition), ...level } as Condition) : condition

const tuned = (rule: Rule, { off: _off, above, below, back, ...times }: Threshold): Rule => {
  const level = {
    ...(above !== undefined && { above }),
    ...(below !== undefined && { below }),
    ...(back !== undefined && { back }),
  }
  const hasLevel = Object.keys(level).length > 0
  if (hasLevel && !rule.when.some(isLevelled))
    throw new TidemarkError('TM_ALERTS_RULE', { name: rule.name, reason: 'it has no level that could be changed' })
  // A level given without its way back would leave the old one on the wrong side.
  const moved = hasLevel && back === undefined ? { ...level, back: undefined } : level
  return defineRule({
    ...rule,
    for: rule.forMs,
    keepFiringFor: rule.keepFiringForMs,
    resolveTimeout: rule.resolveTimeoutMs,
    every: rule.everyMs,
    ...times,
    when: rule.when.map((each) => movedTo(each, moved as Level)),
  })
}

/** The rules with what a project changes of them, and its own after them. One of its own replaces the one of its name. Raises TM_ALERTS_RULE. */
export const tuneRules = (
  rules: readonly Rule[],
  thresholds: Readonly<Record<string, Threshold>> = {},
  own: readonly Rule[] = [],
): readonly Rule[] => {
  const names = new Set([...rules, ...own].map(({ name }) => name))
  const unknown = Object.keys(thresholds).find((name) => !names.has(name))
  if (unknown !== undefined) throw new TidemarkError('TM_ALERTS_RULE', { name: unknown, reason: 'there is no rule of that name' })
  for (const [name, threshold] of Object.entries(thresholds)) {
    const reason = unknownMember(threshold, members)
    if (reason !== undefined) throw new TidemarkError('TM_ALERTS_RULE', { name, reason })
  }
  const replaced = new Set(own.map(({ name }) => name))
  return [...rules.filter(({ name }) => !replaced.has(name)), ...own]
    .filter(({ name }) => thresholds[name]?.off !== true)
    .map((rule) => (thresholds[rule.name] ? tuned(rule, thresholds[rule.name]!) : rule))
}
