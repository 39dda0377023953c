/**
 * The journey of a live move, and the only steps it knows.
 *
 * ```
 *  planned ─► copying ─► following ─► cuttingOver ─► mirroring ─► finished
 *                │           ▲  ▲        │   (gate     │   ▲
 *                ▼           │  └────────┘    fails)   ▼   │ (gate fails)
 *             copied ────────┤                     rollingBack
 *                            │                         ▼
 *                            └───────────────────  rolledBack
 *  aborted: from planned, copying, copied, following and rolledBack
 * ```
 *
 * `cuttingOver` and `rollingBack` are passed within seconds and undo themselves; whoever finds one left behind by a dead process finishes
 * or undoes it. SQLite holds the truth up to and including `cuttingOver`, and again from `rolledBack` on.
 */
export const transitions = {
  planned: ['copying', 'aborted'],
  copying: ['copied', 'following', 'aborted'],
  /** Copied once, without capture. */
  copied: ['following', 'aborted'],
  following: ['cuttingOver', 'aborted'],
  cuttingOver: ['following', 'mirroring'],
  mirroring: ['rollingBack', 'finished'],
  rollingBack: ['mirroring', 'rolledBack'],
  rolledBack: ['following', 'aborted'],
  finished: [],
  aborted: [],
} as const satisfies Record<string, readonly string[]>

export type MoveState = keyof typeof transitions

/** The states that may follow one. */
export type NextState<S extends MoveState> = (typeof transitions)[S][number]

export const mayFollow = (from: MoveState, to: MoveState): boolean => (transitions[from] as readonly MoveState[]).includes(to)

/** Which store takes the application's writes; null while neither does. */
export const writerOf = (state: MoveState): 'sqlite' | 'postgres' | null => {
  if (state === 'cuttingOver' || state === 'rollingBack') return null
  return state === 'mirroring' || state === 'finished' ? 'postgres' : 'sqlite'
}
