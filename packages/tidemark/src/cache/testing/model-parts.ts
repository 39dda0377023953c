import type { CacheDefinition } from '../cache.js'
import type { EntryParts } from '../entry/entry.js'
import { EntryStats } from '../entry/entry-stats.js'
import { createMemoryTier } from '../memory/memory-tier.js'
import { parseTemplate } from '../plan/key-template.js'
import { resolveOptions } from '../plan/resolve-options.js'
import { Sessions } from '../session/session.js'

type Given<P, V> = Pick<EntryParts<P, V>, 'redis' | 'feed' | 'pool' | 'clock'> & Partial<EntryParts<P, V>>

/** The parts of an entry over models, none of which refuses anything but those that are given. */
export const modelParts = <P, V>(definition: CacheDefinition<P, V>, given: Given<P, V>): EntryParts<P, V> => ({
  name: 'item',
  definition,
  options: resolveOptions(definition.template, definition.options),
  template: parseTemplate(definition.template),
  prefix: '',
  forms: ['text'],
  memory: createMemoryTier({ maxBytes: 1_000_000 }),
  isHeld: () => false,
  mayBeStandby: () => false,
  stats: new EntryStats(),
  random: () => 0,
  onEvict: async () => undefined,
  onKept: () => undefined,
  sessions: new Sessions(given.feed, given.clock),
  ...given,
})
