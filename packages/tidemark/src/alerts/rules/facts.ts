import type { ComponentReport, Sample } from '../../observability/observability.js'

/** What rules look at. */
export interface Facts {
  /** Metrics of this process, as they are now. */
  readonly samples: readonly Sample[]
  /** Metrics as they were so long ago, or as long ago as is known; undefined where nothing earlier is known. */
  before(overMs: number): readonly Sample[] | undefined
  /** Components of this process. */
  readonly components: Readonly<Record<string, ComponentReport>>
  /** Wall time in milliseconds since 1970. */
  readonly nowMs: number
}

interface Snapshot {
  readonly at: number
  readonly samples: readonly Sample[]
}

/** Remembers what counters were, no longer than any rule looks back. */
export class History {
  readonly #reachMs: number
  readonly #names: ReadonlySet<string>
  #snapshots: Snapshot[] = []

  constructor(names: Iterable<string>, reachMs: number) {
    this.#names = new Set(names)
    this.#reachMs = reachMs
  }

  add(at: number, samples: readonly Sample[]): void {
    this.#snapshots.push({ at, samples: samples.filter(({ name }) => this.#names.has(name)) })
    // One beyond the reach stays: what lies between the two is the whole of it.
    while (this.#snapshots.length > 1 && this.#snapshots[1]!.at <= at - this.#reachMs) this.#snapshots.shift()
  }

  before(at: number, overMs: number): readonly Sample[] | undefined {
    const [oldest] = this.#snapshots
    if (!oldest || oldest.at >= at) return undefined
    return (this.#snapshots.findLast((snapshot) => snapshot.at <= at - overMs) ?? oldest).samples
  }
}
