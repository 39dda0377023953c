import { describe, expect, it } from 'vitest'
import type { MoveEvent } from '../../move/move.js'
import { createMoveProgress } from '../terminal/move-progress.js'
import { summaryLine } from './progress-text.js'

const lineOf = (lag: Extract<MoveEvent, { type: 'lag' }>): string => {
  const progress = createMoveProgress(() => 0)
  progress.take({ type: 'phase', phase: lag.phase, rowsTotal: 0 })
  progress.take(lag)
  return summaryLine(progress.view())
}

describe('the line of a live move', () => {
  it('counts changes of the file while it is followed', () => {
    const lag = { type: 'lag', phase: 'follow', changesPerSecond: 0 } as const
    expect(lineOf({ ...lag, behind: 1200, behindMs: 2500 })).toBe('Following · 1,200 changes behind (2.5 s)')
    expect(lineOf({ ...lag, behind: 0, behindMs: 0 })).toBe('Following · up to date')
  })

  it("counts bytes of Postgres' log while it is mirrored, which are no changes", () => {
    const lag = { type: 'lag', phase: 'mirror', changesPerSecond: 7 } as const
    expect(lineOf({ ...lag, behindBytes: 3_145_728, behindMs: 2500 })).toBe(
      "Mirroring · 3.0 MiB of Postgres' log behind (2.5 s) · 7 changes/s",
    )
    expect(lineOf({ ...lag, behindBytes: 56, behindMs: 300 })).toBe('Mirroring · up to date · 7 changes/s')
    expect(lineOf({ ...lag, behindBytes: null, behindMs: 2500 })).toBe('Mirroring · behind (2.5 s) · 7 changes/s')
  })
})
