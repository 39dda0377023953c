import type { QueryClient, QueryKey } from '@tanstack/react-query'
import type { LiveView } from '../live/live-view.js'

interface Binding {
  users: number
  readonly stop: () => void
}

const bindings = new WeakMap<QueryClient, Map<string, Binding>>()

/** Keeps the entry of a live query up to date while somebody uses it: one subscription for all components. Call what is returned when done. */
export const bindView = <Row extends object>(client: QueryClient, key: QueryKey, view: LiveView<Row>): (() => void) => {
  const own = bindings.get(client) ?? new Map<string, Binding>()
  bindings.set(client, own)
  const name = JSON.stringify(key)
  const write = (): void => void client.setQueryData(key, view.snapshot())
  const binding = own.get(name) ?? { users: 0, stop: view.subscribe(write) }
  own.set(name, binding)
  binding.users += 1
  if (binding.users === 1) write()
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    binding.users -= 1
    if (binding.users > 0) return
    own.delete(name)
    binding.stop()
  }
}
