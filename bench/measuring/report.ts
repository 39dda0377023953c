import { loadavg } from 'node:os'
import { summarize } from './statistics.ts'

/** What a row of the summary or a closing line tells. */
export interface Measure {
  readonly name: string
  /** What it is divided by; undefined where the figure stands for itself. */
  readonly baseline?: string
  /** One for each round. */
  readonly values: readonly number[]
}

export interface Target {
  readonly measure: Measure | undefined
  /** In words: what has to hold. */
  readonly what: string
  readonly limit: number
  /** Whether the limit is the most or the least that there may be. Default `most`. */
  readonly bound?: 'most' | 'least'
}

const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2))

/** `move-copy-phase ratio to raw-pipe 1.12`, or `move-peak-rss-mib 178`. */
export const closingLine = ({ name, baseline, values }: Measure): string => {
  const { median } = summarize(values)
  return baseline === undefined ? `${name} ${digits(median)}` : `${name} ratio to ${baseline} ${digits(median)}`
}

export interface Figure extends Measure {
  readonly unit: string
}

/** Median and extremes, one figure a line. */
export const summaryTable = (figures: readonly Figure[]): string => {
  const width = Math.max(...figures.map(({ name }) => name.length))
  const line = ({ name, values, unit }: Figure): string => {
    const { median, min, max } = summarize(values)
    return `  ${name.padEnd(width)} ${digits(median).padStart(9)} ${`(${digits(min)} – ${digits(max)})`.padEnd(19)} ${unit}`
  }
  return ['median (smallest – largest round)', ...figures.map(line)].join('\n')
}

export interface Verdict {
  readonly met: boolean
  readonly lines: readonly string[]
}

/** Judges the medians. What was not measured is named, and counts neither way. */
export const judge = (targets: readonly Target[]): Verdict => {
  const lines: string[] = []
  let met = true
  for (const { measure, what, limit, bound } of targets) {
    if (measure === undefined || measure.values.length === 0) {
      lines.push(`not judged  ${what}`)
      continue
    }
    const { median } = summarize(measure.values)
    const holds = bound === 'least' ? median >= limit : median <= limit
    met &&= holds
    lines.push(`${holds ? 'met       ' : 'MISSED    '}  ${what}: ${digits(median)}`)
  }
  return { met, lines }
}

/** How busy the machine is, over the last minute and the last five. */
export const loadText = (): string => {
  const [minute, five] = loadavg()
  return `load ${minute!.toFixed(1)} (five minutes: ${five!.toFixed(1)})`
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`
