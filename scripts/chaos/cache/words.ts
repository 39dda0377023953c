/** What the storm and its nodes tell each other. */

export interface NodeOptions {
  readonly database: string
  readonly redis: string
  /** The file of the board. */
  readonly board: string
  readonly index: number
  readonly nodes: number
  readonly keys: number
  /** Two that write, and the others read. */
  readonly loops: number
  /** Writes for each read, at most. */
  readonly writeShare: number
  readonly maxSilenceMs: number
  readonly seed: number
}

export type NodeCommand =
  | { readonly type: 'run' }
  | { readonly type: 'pause' }
  /** Read every key. */
  | { readonly type: 'look' }
  /** Die in the next write. */
  | { readonly type: 'die'; readonly at: 'commit' | 'announced' }

/** Since the report before. */
export interface NodeReport {
  reads: number
  withToken: number
  writes: number
  /** Reads that gave less than they have to: of linearizable entries, or with a token. */
  broken: number
  readonly examples: string[]
  /** Reads of less than was acknowledged when they began, allowed or not, and how old that was. */
  late: number
  readonly ages: number[]
  oldestMs: number
  slowestMs: number
  readonly errors: Record<string, number>
}

export type NodeMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'paused' }
  | { readonly type: 'values'; readonly values: Readonly<Record<string, readonly number[]>> }
  | {
      readonly type: 'report'
      readonly report: NodeReport
      readonly role: string
      readonly hasRedis: boolean
      readonly freshMs: number
      /** It has answered a linearizable entry from memory. */
      readonly isMember: boolean
      readonly problem: string | null
      readonly stats: unknown
    }
