import type { CacheDefinition, EntryOptions, ParamsOf } from './cache.js'

/** The params of a template, flat. */
export type KeyParams<Template extends string> = { readonly [K in keyof ParamsOf<Template>]: ParamsOf<Template>[K] }

/**
 * Defines a family of cached values: the template of its keys, how a value is loaded, and which rows make it void. Nothing is held before a
 * cache is made of it.
 *
 * ```ts
 * const messages = cached('chat:messages:{session_id}', {
 *   ttl: '15m',
 *   from: { chat_messages: 'session_id' },
 *   load: async ({ session_id }, db) => (await db.query('select … where session_id = $1', [session_id])).rows,
 * })
 * ```
 */
export const cached = <const Template extends string, Value>(
  template: Template,
  options: EntryOptions<KeyParams<Template>, Value>,
): CacheDefinition<KeyParams<Template>, Value> => ({ template, options })
