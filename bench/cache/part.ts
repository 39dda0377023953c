import type { Figure, Measure, Target } from '../measuring/report.ts'
import { ratios } from '../measuring/statistics.ts'
import type { CacheStage, PartOptions } from './stage.ts'
import type { Paces } from './turns.ts'

/** What one part of the benchmark found. */
export interface PartReport {
  readonly figures: readonly Figure[]
  /** Closing lines. */
  readonly measures: readonly Measure[]
  readonly targets: readonly Target[]
}

export type Part = (stage: CacheStage, options: PartOptions) => Promise<PartReport>

export const paceFigures = (name: string, { perSecond, cpuUsPerCall }: Paces): readonly Figure[] => [
  { name, values: perSecond.map((value) => value / 1000), unit: 'thousand a second' },
  { name: '', values: cpuUsPerCall, unit: 'µs of the processor' },
]

/** How many times as often as the baseline. */
export const paceRatio = (name: string, ours: Paces, baseline: string, theirs: Paces): Measure => ({
  name,
  baseline,
  values: ratios(ours.perSecond, theirs.perSecond),
})
