import type { PresenceDiff, PresenceMeta } from '../realtime.js'
import type { Member } from './node-view.js'

type Metas = Map<string, PresenceMeta[]>

export const addMeta = (metas: Metas, { key, meta }: Member): void => {
  const known = metas.get(key)
  if (known) known.push(meta)
  else metas.set(key, [meta])
}

/** Gathers what changed, topic by topic, so that what came in together is told together. */
export class PresenceDiffs {
  readonly #byTopic = new Map<string, { readonly joins: Metas; readonly leaves: Metas }>()

  add(topic: string, change: { readonly joined?: Member; readonly left?: Member } | undefined): void {
    if (change === undefined) return
    let diff = this.#byTopic.get(topic)
    if (diff === undefined) {
      diff = { joins: new Map(), leaves: new Map() }
      this.#byTopic.set(topic, diff)
    }
    if (change.left) addMeta(diff.leaves, change.left)
    if (change.joined) addMeta(diff.joins, change.joined)
  }

  [Symbol.iterator](): IterableIterator<[string, PresenceDiff]> {
    return this.#byTopic.entries()
  }
}
