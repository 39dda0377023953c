import { z } from 'zod'
import type { Kind } from './kinds.js'
import { option } from './option.js'
import { isPlainObject } from './tree.js'

/** One relay of the configuration; its rules are looked at by whoever makes a relay of it. */
export interface RelayDefinitionInput {
  /** Pusher's address, `https://KEY:SECRET@HOST/apps/ID`; or a project of Supabase, and a key that may send on its channels. */
  readonly to:
    | { readonly pusher: string }
    | { readonly supabase: { readonly url: string; readonly key: string; readonly private?: boolean } }
  readonly rules: readonly object[]
  /** What waits is kept in Postgres, over restarts. Default false. */
  readonly durable?: boolean
  /** From how many milliseconds on an answer counts as a failure of the target. Default 3,000. */
  readonly slowMs?: number
}

export type RelayDefinitions = Readonly<Record<string, RelayDefinitionInput>>

const relayName = /^[a-z][a-z0-9-]{0,39}$/
const members = new Set(['to', 'rules', 'durable', 'slowMs'])

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

const isTarget = (to: unknown): boolean => {
  if (!isPlainObject(to) || Object.keys(to).length !== 1) return false
  if ('pusher' in to) return isText(to['pusher'])
  const supabase = to['supabase']
  return isPlainObject(supabase) && isText(supabase['url']) && isText(supabase['key'])
}

const isRule = (rule: unknown): boolean =>
  isPlainObject(rule) &&
  typeof rule['table'] === 'string' &&
  /^[^.]+\.[^.]+$/.test(rule['table']) &&
  ['channel', 'event'].every((name) => typeof rule[name] === 'string' || typeof rule[name] === 'function') &&
  (Array.isArray(rule['data']) || typeof rule['data'] === 'function')

/** Nothing of a relay is quoted: it holds keys. */
const whyNoRelays = (value: unknown): string | undefined => {
  if (!isPlainObject(value)) return 'it is not an object of relays'
  for (const [name, relay] of Object.entries(value)) {
    if (!relayName.test(name)) return `the name "${name}" of a relay is not lower case letters, digits and "-"`
    if (!isPlainObject(relay)) return `the relay "${name}" is no object`
    if (Object.keys(relay).some((member) => !members.has(member))) return `the relay "${name}" has a member that is not known`
    if (!isTarget(relay['to'])) return `the relay "${name}" has no "to" that names pusher, or supabase with url and key`
    const rules = relay['rules']
    if (!Array.isArray(rules) || rules.length === 0 || !rules.every(isRule))
      return `the relay "${name}" has no rules, or one without table (schema.table), channel, event or data`
  }
  return undefined
}

const definitions: Kind<RelayDefinitions> = {
  // Functions and all pass through as they are.
  schema: z.custom<RelayDefinitions>().superRefine((value, context) => {
    const message = whyNoRelays(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }),
  fromText: () => undefined,
  expected: 'an object such as { frontends: { to: { pusher: url }, rules: [{ table, channel, event, data }] } }',
}

export const relayOptions = {
  'realtime.relays': option(definitions, {
    help: 'Changes that are forwarded to Pusher or to Supabase Broadcast, by name; in a configuration file only. docs/relay.md says how.',
    env: [],
    defaultText: 'none',
    secret: true,
  }),
} as const
