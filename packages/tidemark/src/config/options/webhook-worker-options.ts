import { z } from 'zod'
import { boolean, durationMs, integer, type Kind, oneOf } from './kinds.js'
import { option } from './option.js'
import { isPlainObject } from './tree.js'

// biome-ignore lint/suspicious/noExplicitAny: this floor does not know the types; whoever registers a handler names them.
type HandlerInput = (event: any, context: any) => Promise<void>

/** Handlers by the type of event; what they take is looked at by whoever calls them. */
export type WebhookHandlersInput = Readonly<Record<string, HandlerInput | readonly HandlerInput[]>>

const isHandler = (value: unknown): boolean =>
  typeof value === 'function' || (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'function'))

const whyNoHandlers = (value: unknown): string | undefined => {
  if (!isPlainObject(value)) return 'it is not an object of handlers'
  const wrong = Object.entries(value).find(([, handler]) => !isHandler(handler))
  return wrong && `what handles "${wrong[0]}" is neither a function nor a list of functions`
}

const handlers: Kind<WebhookHandlersInput> = {
  // Functions and all pass through as they are.
  schema: z.custom<WebhookHandlersInput>().superRefine((value, context) => {
    const message = whyNoHandlers(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }),
  fromText: () => undefined,
  expected: "an object such as { 'contact.created': async (event, { db }) => { … } }",
}

export const webhookWorkerOptions = {
  'webhooks.on': option(handlers, {
    help: 'What handles events, by their type; "*" gets every one. In a configuration file only. docs/webhooks.md says how.',
    env: [],
    defaultText: 'none',
  }),
  'webhooks.handles': option(boolean, {
    help: 'Whether this process handles events, besides taking them. What nothing handles waits.',
    defaultText: 'where `webhooks.on` has handlers',
  }),
  'webhooks.concurrency': option(integer(1, 1000), {
    help: 'Transactions of handlers at a time. Each holds a connection of the primary pool.',
    default: 8,
  }),
  'webhooks.maxRetries': option(integer(1, 1000), {
    help: 'Attempts of an event before it is a dead letter.',
    env: ['MAX_RETRIES', 'TIDEMARK_WEBHOOKS_MAX_RETRIES'],
    default: 8,
    systems: ['REanna Router'],
  }),
  'webhooks.retryBaseMs': option(durationMs(1, 3_600_000), {
    help: 'The pause after a first failure is a random part of this; of twice as much after each further one.',
    default: 1_000,
    defaultText: '1s',
  }),
  'webhooks.retryMaxMs': option(durationMs(1, 86_400_000), {
    help: 'The longest pause between attempts.',
    default: 900_000,
    defaultText: '15m',
  }),
  'webhooks.handlerTimeoutMs': option(durationMs(10, 3_600_000), {
    help: 'How long the handlers of an event may take together.',
    default: 30_000,
    defaultText: '30s',
  }),
  'webhooks.unhandled': option(oneOf(['processed', 'dead']), {
    help: 'What becomes of an event that nothing handles: it is done, or a dead letter.',
    default: 'processed',
  }),
  'webhooks.whenRedisIsDown': option(oneOf(['wait', 'handle']), {
    help: 'Whether events wait while Redis is away, or are handled from their rows, in an order that is not promised.',
    default: 'wait',
  }),
  'webhooks.replayPerSecond': option(integer(1, 100_000), {
    help: 'Events of a replay that are sent through again per second.',
    default: 200,
  }),
} as const
