import type { BreakerState } from './resilience.js'

/** Everything that can befall a breaker. The machine first decides which of these it is, then looks up what follows. */
export type BreakerEvent =
  /** A call asks to go through; no back-off or lease has run out that would change anything. */
  | 'call'
  /** A call asks to go through, and the back-off is over. */
  | 'callAfterBackoff'
  /** A call asks to go through, and the probe before it was never heard of again. */
  | 'callAfterLease'
  | 'success'
  | 'failure'
  /** The failure that fills the window up to the threshold. */
  | 'failureAtThreshold'
  | 'probeSuccess'
  | 'probeFailure'
  /** The probe's caller gave up before the service answered. */
  | 'probeAbandoned'
  /** The caller of an ordinary call gave up before the service answered. */
  | 'abandoned'
  /** The outcome of a call that was let through in an earlier epoch. */
  | 'late'

/** What one event does: where the breaker goes, and whether a call goes through. */
export interface BreakerMove {
  readonly to: BreakerState
  /** `admit` and `probe` let the call through; `refuse` does not; the others answer no call. */
  readonly act: 'admit' | 'probe' | 'refuse' | 'count' | 'note' | 'open' | 'reopen' | 'close' | 'release' | 'ignore'
}

/** The event cannot occur in that state: there is no path of the machine that would name it. */
export type Impossible = 'impossible'

type Table = Readonly<Record<BreakerState, Readonly<Record<BreakerEvent, BreakerMove | Impossible>>>>

/** States × events. The type makes it complete; SPEC.md draws it. */
export const breakerTable = {
  CLOSED: {
    call: { to: 'CLOSED', act: 'admit' },
    callAfterBackoff: 'impossible',
    callAfterLease: 'impossible',
    success: { to: 'CLOSED', act: 'note' },
    failure: { to: 'CLOSED', act: 'count' },
    failureAtThreshold: { to: 'OPEN', act: 'open' },
    probeSuccess: 'impossible',
    probeFailure: 'impossible',
    probeAbandoned: 'impossible',
    abandoned: { to: 'CLOSED', act: 'ignore' },
    late: { to: 'CLOSED', act: 'ignore' },
  },
  OPEN: {
    call: { to: 'OPEN', act: 'refuse' },
    callAfterBackoff: { to: 'HALF_OPEN', act: 'probe' },
    callAfterLease: 'impossible',
    success: 'impossible',
    failure: 'impossible',
    failureAtThreshold: 'impossible',
    probeSuccess: 'impossible',
    probeFailure: 'impossible',
    probeAbandoned: 'impossible',
    abandoned: 'impossible',
    late: { to: 'OPEN', act: 'ignore' },
  },
  HALF_OPEN: {
    call: { to: 'HALF_OPEN', act: 'refuse' },
    callAfterBackoff: 'impossible',
    callAfterLease: { to: 'HALF_OPEN', act: 'probe' },
    success: 'impossible',
    failure: 'impossible',
    failureAtThreshold: 'impossible',
    probeSuccess: { to: 'CLOSED', act: 'close' },
    probeFailure: { to: 'OPEN', act: 'reopen' },
    probeAbandoned: { to: 'HALF_OPEN', act: 'release' },
    abandoned: 'impossible',
    late: { to: 'HALF_OPEN', act: 'ignore' },
  },
} as const satisfies Table
