/**
 * The states of one condition on one node.
 *
 *                holds, `for` 0
 *   inactive ───────────────────────► firing ◄──────────┐
 *      │  ▲                          ▲  │               │ holds
 *      │  └─ holds no more ─┐  waited│  │ holds no more │
 *      └── holds ──► pending ────────┘  ▼               │
 *                                    ceasing ───────────┘
 *                                       │ kept
 *   inactive ◄──── forgotten ──── resolved ──── holds ──► pending or firing
 *
 * `ceasing` still fires: it is kept for `keepFiringForMs`, since what ends for a moment has not ended. A reading between the level that raises
 * and the one that clears leaves a state as it is (hysteresis), and so does none at all until `resolveTimeoutMs` has passed.
 */

export type ConditionState = 'inactive' | 'pending' | 'firing' | 'ceasing' | 'resolved'

/** What one look says. `between`: neither past the level that raises nor back beyond the one that clears. `unknown`: nothing can be said. */
export type Look = 'holds' | 'between' | 'clear' | 'unknown'

/** What a look means in a state, its times weighed. */
export type MachineEvent = 'holds' | 'waited' | 'clear' | 'kept' | 'silent' | 'nothing'

/** Every state and event. */
export const transitions = {
  inactive: { holds: 'pending', waited: 'firing', clear: 'inactive', kept: 'inactive', silent: 'inactive', nothing: 'inactive' },
  pending: { holds: 'pending', waited: 'firing', clear: 'inactive', kept: 'inactive', silent: 'inactive', nothing: 'pending' },
  firing: { holds: 'firing', waited: 'firing', clear: 'ceasing', kept: 'resolved', silent: 'resolved', nothing: 'firing' },
  ceasing: { holds: 'firing', waited: 'firing', clear: 'ceasing', kept: 'resolved', silent: 'resolved', nothing: 'ceasing' },
  resolved: { holds: 'pending', waited: 'firing', clear: 'inactive', kept: 'inactive', silent: 'inactive', nothing: 'inactive' },
} as const satisfies Readonly<Record<ConditionState, Readonly<Record<MachineEvent, ConditionState>>>>

export interface MachineTimes {
  /** How long it has to hold before it fires. */
  readonly forMs: number
  /** How long it goes on firing after it held last. */
  readonly keepFiringForMs: number
  /** After so long without any look it counts as over. */
  readonly resolveTimeoutMs: number
}

export interface ConditionMemory {
  readonly state: ConditionState
  /** Since when it holds without a break; while it ceases, since when it does not. Monotonic. */
  readonly sinceMs: number
  /** Of the last look that said something. */
  readonly seenAtMs: number
}

export const inactive = (nowMs: number): ConditionMemory => ({ state: 'inactive', sinceMs: nowMs, seenAtMs: nowMs })

export const fires = (state: ConditionState): boolean => state === 'firing' || state === 'ceasing'

/** What a look means now. */
export const eventOf = (memory: ConditionMemory, look: Look, times: MachineTimes, nowMs: number): MachineEvent => {
  const { state, sinceMs, seenAtMs } = memory
  if (look === 'unknown') return nowMs - seenAtMs >= times.resolveTimeoutMs ? 'silent' : 'nothing'
  // What waits has to hold without a break; what fires stays until it is clear.
  if (look === 'between') return state === 'pending' ? 'clear' : 'nothing'
  if (look === 'holds') {
    const heldForMs = state === 'pending' ? nowMs - sinceMs : 0
    return heldForMs >= times.forMs ? 'waited' : 'holds'
  }
  const clearForMs = state === 'ceasing' ? nowMs - sinceMs : 0
  return fires(state) && clearForMs >= times.keepFiringForMs ? 'kept' : 'clear'
}

/** One step. */
export const step = (memory: ConditionMemory, look: Look, times: MachineTimes, nowMs: number): ConditionMemory => {
  const state = transitions[memory.state][eventOf(memory, look, times, nowMs)]
  return {
    state,
    sinceMs: state === memory.state ? memory.sinceMs : nowMs,
    seenAtMs: look === 'unknown' ? memory.seenAtMs : nowMs,
  }
}
