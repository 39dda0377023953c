import { unknownMember } from '../../config/options/unknown-member.js'
import { TidemarkError } from '../../errors.js'
import { type Alert, type AlertLabels, type AlertSeverity, severities } from '../alerts.js'
import { labelsOf } from '../fingerprint.js'
import { type Matcher, matchesAll, parseMatcher } from './matchers.js'

/** Who is told of what, and how soon. What is left out is as the default route has it. */
export interface RouteInput {
  /** All have to hold: `alert_type=~feed*`, `severity=critical`. Without any: everything. */
  readonly match?: readonly string[]
  /** Names of channels. Default: all. */
  readonly channels?: readonly string[]
  /** Alerts that have these labels in common are told together. Default `['alert_type']`. */
  readonly groupBy?: readonly string[]
  /** How long the first of a group waits for others. Default 30 s; critical ones never wait. */
  readonly groupWaitMs?: number
  /** How long a group that was told of waits before it is told of again. Default 5 min; critical ones never wait. */
  readonly groupIntervalMs?: number
  /** How often what nobody acknowledged is told again. Default 4 h. */
  readonly repeatIntervalMs?: number
  /** Whether the end is told. Default true. */
  readonly sendResolved?: boolean
  /** After so long without anybody acknowledging it, `escalateTo` is told. Default: never. */
  readonly escalateAfterMs?: number
  /** Names of channels. Default: those of the route. */
  readonly escalateTo?: readonly string[]
  /**
   * Narrower ones, which are looked at before this one takes an alert: what they leave out is as this one has it, and its matchers hold for
   * them too.
   */
  readonly routes?: readonly RouteInput[]
}

export interface Route {
  readonly match: readonly Matcher[]
  readonly channels: readonly string[]
  readonly groupBy: readonly string[]
  readonly groupWaitMs: number
  readonly groupIntervalMs: number
  readonly repeatIntervalMs: number
  readonly sendResolved: boolean
  readonly escalateAfterMs: number | undefined
  readonly escalateTo: readonly string[]
}

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((each) => typeof each === 'string')
const isMs = (value: unknown): boolean => typeof value === 'number' && value >= 0

/** What a route may say, and what that has to be. */
const members: { readonly [Name in keyof RouteInput]-?: readonly [is: (value: unknown) => boolean, expected: string] } = {
  match: [isTexts, 'a list of texts'],
  channels: [isTexts, 'a list of texts'],
  groupBy: [isTexts, 'a list of texts'],
  groupWaitMs: [isMs, 'a number of milliseconds'],
  groupIntervalMs: [isMs, 'a number of milliseconds'],
  repeatIntervalMs: [isMs, 'a number of milliseconds'],
  sendResolved: [(value) => typeof value === 'boolean', 'true or false'],
  escalateAfterMs: [isMs, 'a number of milliseconds'],
  escalateTo: [isTexts, 'a list of texts'],
  routes: [Array.isArray, 'a list of routes'],
}

const whyBad = (input: RouteInput): string | undefined => {
  for (const [name, [is, expected]] of Object.entries(members)) {
    const value = input[name as keyof RouteInput]
    if (value !== undefined && !is(value)) return `"${name}" is not ${expected}`
  }
  return unknownMember(input, Object.keys(members))
}

/** A demand that is misspelt would not be one: the route would take everything. */
const check = (input: RouteInput): void => {
  const reason = whyBad(input)
  if (reason !== undefined) throw new TidemarkError('TM_ALERTS_ROUTE', { reason })
  for (const child of input.routes ?? []) check(child)
}

const routeOf = (input: RouteInput, all: readonly string[]): Route => {
  const unknown = [...(input.channels ?? []), ...(input.escalateTo ?? [])].find((name) => !all.includes(name))
  if (unknown !== undefined)
    throw new TidemarkError('TM_ALERTS_CHANNEL', { channel: unknown, reason: 'a route names it, and there is none' })
  const channels = input.channels ?? all
  return {
    channels,
    match: (input.match ?? []).map(parseMatcher),
    groupBy: input.groupBy ?? ['alert_type'],
    groupWaitMs: input.groupWaitMs ?? 30_000,
    groupIntervalMs: input.groupIntervalMs ?? 300_000,
    repeatIntervalMs: input.repeatIntervalMs ?? 4 * 3_600_000,
    sendResolved: input.sendResolved ?? true,
    escalateAfterMs: input.escalateAfterMs,
    escalateTo: input.escalateTo ?? channels,
  }
}

/** A tree as a list: the first of it that matches is the deepest one on the way from the root, as each node's children stand before it. */
const flat = ({ routes = [], ...own }: RouteInput): readonly RouteInput[] => [
  ...routes.flatMap((child) => flat({ ...own, ...child, match: [...(own.match ?? []), ...(child.match ?? [])] })),
  own,
]

export interface Routes {
  /** The first that takes it; the last takes everything. */
  of(alert: Alert): Route
  groupKeyOf(alert: Alert, route: Route): string
}

/** What matchers see: all labels, and the severity. */
export const matchedLabels = (alert: Alert): AlertLabels => ({ ...labelsOf(alert), severity: alert.severity })

/** Raises TM_ALERTS_ROUTE, TM_ALERTS_CHANNEL and TM_ALERTS_MATCHER. */
export const createRoutes = (inputs: readonly RouteInput[], channels: readonly string[]): Routes => {
  inputs.forEach(check)
  const routes = [...inputs.flatMap(flat), {}].map((input) => routeOf(input, channels))
  return {
    of: (alert) => routes.find(({ match }) => matchesAll(match, matchedLabels(alert)))!,
    groupKeyOf: (alert, route) => {
      const labels = matchedLabels(alert)
      return JSON.stringify([routes.indexOf(route), ...route.groupBy.map((label) => [label, labels[label] ?? ''])])
    },
  }
}

export const isUrgent = (severity: AlertSeverity): boolean => severity === severities.at(-1)
