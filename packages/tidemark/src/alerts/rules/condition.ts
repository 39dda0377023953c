import { unknownMember } from '../../config/options/unknown-member.js'
import type { HealthStatus, Sample } from '../../observability/observability.js'
import { parseDuration } from '../../time/durations.js'
import type { Look } from '../machine/machine.js'
import type { Facts } from './facts.js'
import type { LookFor, Reading, Span } from './rule.js'

/** Series of a metric; labels by value or by form. */
export interface Series {
  readonly metric: string
  readonly where?: Readonly<Record<string, string | RegExp>>
}

/** What raises, and back to where it has to come to count as over (default: the same level). */
export interface Level {
  readonly above?: number
  readonly below?: number
  readonly back?: number
}

interface Grouped {
  /** The label that tells one thing from another. Without it all series are added up, and it is about the whole. */
  readonly per?: string
  /** Its name where it is about the whole. Default: the metric's. */
  readonly entity?: string
}

/** A value as it is now. */
export interface GaugeCondition extends Level, Grouped {
  readonly gauge: Series
}

/** How much a counter grew within a time. */
export interface IncreaseCondition extends Level, Grouped {
  readonly increase: Series
  readonly over: Span
}

/** Which part of what was counted within a time is of a kind; nothing is said of fewer than `atLeast`. */
export interface ShareCondition extends Level, Grouped {
  readonly share: { readonly of: Series; readonly among: Series }
  readonly over: Span
  readonly atLeast?: number
}

/** A component of /health, or each of them by `*`. */
export interface HealthCondition {
  readonly health: string
  readonly is: readonly HealthStatus[]
}

export type Condition = GaugeCondition | IncreaseCondition | ShareCondition | HealthCondition

const fits = ({ metric, where = {} }: Series, { name, labels }: Sample): boolean =>
  name === metric &&
  Object.entries(where).every(([label, wanted]) =>
    wanted instanceof RegExp ? wanted.test(labels[label] ?? '') : labels[label] === wanted,
  )

/** Sums by the label, or one sum. */
const sumsOf = (samples: readonly Sample[], series: Series, per: string | undefined): ReadonlyMap<string, number> => {
  const sums = new Map<string, number>()
  for (const sample of samples) {
    if (!fits(series, sample)) continue
    const name = per === undefined ? '' : (sample.labels[per] ?? '')
    sums.set(name, (sums.get(name) ?? 0) + sample.value)
  }
  return sums
}

/** What a value says, with the room between the two levels in which nothing changes. */
export const lookAt = (value: number, { above, below, back }: Level): Look => {
  if (Number.isNaN(value)) return 'unknown'
  if (above !== undefined && value > above) return 'holds'
  if (below !== undefined && value < below) return 'holds'
  if (back === undefined) return 'clear'
  if (above !== undefined && value > back) return 'between'
  if (below !== undefined && value < back) return 'between'
  return 'clear'
}

const spanMs = (span: Span): number => (typeof span === 'number' ? span : (parseDuration(span) ?? Number.NaN))

type Values = ReadonlyMap<string, number>

const grown = (facts: Facts, series: Series, over: Span, per: string | undefined): Values | undefined => {
  const before = facts.before(spanMs(over))
  if (!before) return undefined
  const earlier = sumsOf(before, series, per)
  // A series that was not there counted nothing. One that went back began anew.
  return new Map(
    [...sumsOf(facts.samples, series, per)].map(([name, value]) => {
      const from = earlier.get(name) ?? 0
      return [name, value >= from ? value - from : value]
    }),
  )
}

const sharesOf = (facts: Facts, { share, over, per, atLeast = 1 }: ShareCondition): Values | undefined => {
  const among = grown(facts, share.among, over, per)
  const of = grown(facts, share.of, over, per)
  if (!among || !of) return undefined
  return new Map(
    [...among].flatMap(([name, all]) => (all >= atLeast && all > 0 ? [[name, (of.get(name) ?? 0) / all] as const] : [])),
  )
}

const valuesOf = (facts: Facts, condition: Exclude<Condition, HealthCondition>): Values | undefined => {
  if ('gauge' in condition) return sumsOf(facts.samples, condition.gauge, condition.per)
  if ('increase' in condition) return grown(facts, condition.increase, condition.over, condition.per)
  return sharesOf(facts, condition)
}

const levels = ['above', 'below', 'back', 'per', 'entity']

/** What each kind of condition may say besides its own name. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  gauge: levels,
  increase: [...levels, 'over'],
  share: [...levels, 'over', 'atLeast'],
  health: ['is'],
}

const isSeries = (series: unknown): boolean => typeof (series as Partial<Series> | null | undefined)?.metric === 'string'

const whyNoLevel = (condition: Exclude<Condition, HealthCondition>): string | undefined => {
  const { above, below } = condition
  if (typeof above !== 'number' && typeof below !== 'number') return 'no number "above" or "below" tells when it holds'
  if ('gauge' in condition) return isSeries(condition.gauge) ? undefined : 'its "gauge" names no "metric"'
  if (condition.over === undefined || Number.isNaN(spanMs(condition.over))) return 'its "over" is no duration'
  if ('increase' in condition) return isSeries(condition.increase) ? undefined : 'its "increase" names no "metric"'
  return isSeries(condition.share?.of) && isSeries(condition.share.among)
    ? undefined
    : 'its "share" names no metrics "of" and "among"'
}

/** Why a condition could never hold, whatever is measured. */
export const conditionProblem = (condition: Condition): string | undefined => {
  const kind = Object.keys(kinds).find((name) => name in condition)
  if (kind === undefined) return `it looks at none of ${Object.keys(kinds).join(', ')}`
  const unknown = unknownMember(condition, [kind, ...kinds[kind]!])
  if (unknown !== undefined || !('health' in condition))
    return unknown ?? whyNoLevel(condition as Exclude<Condition, HealthCondition>)
  return Array.isArray(condition.is) && condition.is.length > 0 ? undefined : 'its "is" names no state'
}

const metricOf = (condition: Exclude<Condition, HealthCondition>): string =>
  'gauge' in condition ? condition.gauge.metric : 'increase' in condition ? condition.increase.metric : condition.share.of.metric

const readHealth = ({ components }: Facts, { health, is }: HealthCondition): readonly Reading[] =>
  Object.entries(components)
    .filter(([name]) => health === '*' || name === health)
    .map(([name, { status, detail }]) => ({
      entityId: name,
      look: is.includes(status) ? ('holds' as const) : ('clear' as const),
      value: status,
      ...(detail !== undefined && { detail }),
    }))

/** What a condition finds in the facts; nothing of what is not there. */
export const readCondition = async (condition: Condition | LookFor, facts: Facts): Promise<readonly Reading[]> => {
  if (typeof condition === 'function') return condition(facts)
  if ('health' in condition) return readHealth(facts, condition)
  const { above, below } = condition
  const limit = above ?? below
  return [...(valuesOf(facts, condition) ?? [])].map(([name, value]) => ({
    entityId: name === '' ? (condition.entity ?? metricOf(condition)) : name,
    look: lookAt(value, condition),
    value,
    ...(limit !== undefined && { limit }),
  }))
}

/** Metrics that the condition looks back at, and how far. */
export const lookedBackAt = (condition: Condition | LookFor): { readonly names: readonly string[]; readonly overMs: number } => {
  if (typeof condition === 'function' || 'health' in condition || 'gauge' in condition) return { names: [], overMs: 0 }
  const overMs = spanMs(condition.over)
  if ('increase' in condition) return { names: [condition.increase.metric], overMs }
  return { names: [condition.share.of.metric, condition.share.among.metric], overMs }
}
