import type { EventHandler } from '../webhooks.js'
import type { Handlers, HandlerTable } from './workers.js'

const listOf = (given: EventHandler | readonly EventHandler[] | undefined): readonly EventHandler[] => {
  if (given === undefined) return []
  return typeof given === 'function' ? [given] : given
}

/** A registry of handlers, filled from a table where one is given. */
export const createHandlers = (table: HandlerTable = {}): Handlers => {
  const byType = new Map<string, EventHandler[]>()
  const on: Handlers['on'] = (type, handler) => {
    const list = byType.get(type) ?? []
    byType.set(type, list)
    list.push(handler)
    return () => {
      const at = list.indexOf(handler)
      if (at >= 0) list.splice(at, 1)
    }
  }
  for (const [type, given] of Object.entries(table)) for (const handler of listOf(given)) on(type, handler)
  return {
    on,
    of: (type) => [...(byType.get(type) ?? []), ...(byType.get('*') ?? [])],
  }
}
