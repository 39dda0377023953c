import { TidemarkError } from '../../errors.js'
import { parseDuration } from '../../time/durations.js'
import { type AlertLabels, type AlertSeverity, severities } from '../alerts.js'
import type { Look } from '../machine/machine.js'
import { type Condition, conditionProblem } from './condition.js'
import type { Facts } from './facts.js'

/** What one look at one thing says. */
export interface Reading {
  /** What it is about: a pool, a service, a host. */
  readonly entityId: string
  readonly look: Look
  /** What fills the rule's sentence. */
  readonly value?: number | string
  readonly limit?: number | string
  readonly detail?: string
  readonly labels?: AlertLabels
}

/** A look of one's own. What it raises counts as knowing nothing. */
export type LookFor = (facts: Facts) => readonly Reading[] | Promise<readonly Reading[]>

/** `'30s'`, `'5m'` or milliseconds. */
export type Span = string | number

export interface RuleInput {
  /** The type of the alert: lower case words, joined by `-`. */
  readonly name: string
  readonly severity: AlertSeverity
  /** What has to hold; several: any of them. */
  readonly when: Condition | LookFor | readonly (Condition | LookFor)[]
  /** One sentence. `{entity}`, `{value}`, `{limit}` and `{detail}` are filled in. */
  readonly says: string
  /** What the alert is about. Default `server`. */
  readonly entityType?: string
  /** How long it has to hold before it fires. Default 0. */
  readonly for?: Span
  /** How long it goes on firing after it held last. Default 1 minute. */
  readonly keepFiringFor?: Span
  /** After so long without a look that says anything it counts as over. Default 5 minutes. */
  readonly resolveTimeout?: Span
  /** How often it is looked at. Default: at each look at all. */
  readonly every?: Span
  /** Names of rules that say no more than this one while it fires. */
  readonly mutes?: readonly string[]
}

export interface Rule {
  readonly name: string
  readonly severity: AlertSeverity
  readonly when: readonly (Condition | LookFor)[]
  readonly says: string
  readonly entityType: string
  readonly forMs: number
  readonly keepFiringForMs: number
  readonly resolveTimeoutMs: number
  readonly everyMs: number
  readonly mutes: readonly string[]
}

const bad = (name: string, reason: string): TidemarkError =>
  new TidemarkError('TM_ALERTS_RULE', { name: name.slice(0, 80), reason })

const spanOf = (rule: string, what: string, span: Span | undefined, fallbackMs: number): number => {
  const ms = span === undefined ? fallbackMs : typeof span === 'number' ? span : parseDuration(span)
  if (ms === undefined || !Number.isFinite(ms) || ms < 0) throw bad(rule, `"${what}" is no duration`)
  return ms
}

/** Makes a rule of a few facts. Raises TM_ALERTS_RULE. */
export const defineRule = (input: RuleInput): Rule => {
  const { name, severity, says } = input
  if (typeof name !== 'string' || !/^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$/.test(name))
    throw bad(String(name), 'the name is no lower case words')
  if (!severities.includes(severity)) throw bad(name, `there is no severity "${severity}"`)
  if (typeof says !== 'string' || says.trim() === '') throw bad(name, 'it says nothing')
  const when = [input.when].flat() as readonly (Condition | LookFor)[]
  if (when.length === 0 || when.some((each) => typeof each !== 'function' && (typeof each !== 'object' || each === null)))
    throw bad(name, 'nothing tells when it holds')
  for (const each of when) {
    const problem = typeof each === 'function' ? undefined : conditionProblem(each)
    if (problem !== undefined) throw bad(name, problem)
  }
  return {
    name,
    severity,
    says,
    when,
    entityType: input.entityType ?? 'server',
    forMs: spanOf(name, 'for', input.for, 0),
    keepFiringForMs: spanOf(name, 'keepFiringFor', input.keepFiringFor, 60_000),
    resolveTimeoutMs: spanOf(name, 'resolveTimeout', input.resolveTimeout, 300_000),
    everyMs: spanOf(name, 'every', input.every, 0),
    mutes: input.mutes ?? [],
  }
}

const digits = (value: number): string => {
  if (!Number.isFinite(value)) return String(value)
  const rounded = Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
  return rounded.toLocaleString('en-US')
}

const shown = (value: number | string | undefined): string => (typeof value === 'number' ? digits(value) : (value ?? ''))

/** The sentence of a rule about what a look found. */
export const sentenceOf = ({ says }: Pick<Rule, 'says'>, { entityId, value, limit, detail }: Reading): string =>
  says
    .replace(/\{(entity|value|limit|detail)\}/g, (_whole, name: string) =>
      name === 'entity' ? entityId : name === 'detail' ? (detail ?? '') : shown(name === 'value' ? value : limit),
    )
    .trim()
