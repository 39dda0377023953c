import { type ChangeBinding, withIds } from './change-bindings.js'
import type { JoinRequest } from './join-request.js'

export interface Join {
  readonly request: JoinRequest
  readonly bindings: readonly ChangeBinding[]
}

const maxKept = 1_000
const maxCharacters = 2_000

/** Most clients of an application ask for the same: what they asked for is kept once, for all channels of the process. */
export class SharedJoins {
  readonly #known = new Map<string, Join>()

  share(request: JoinRequest): Join {
    const key = JSON.stringify(request)
    const known = this.#known.get(key)
    if (known) return known
    const join = { request, bindings: withIds(request.changes) }
    if (key.length > maxCharacters) return join
    // Which ones are asked for often shows again soon.
    if (this.#known.size >= maxKept) this.#known.clear()
    this.#known.set(key, join)
    return join
  }
}
