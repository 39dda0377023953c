import { closingLine, type Figure, judge, type Measure, summaryTable, type Target } from '../measuring/report.ts'
import { ratios } from '../measuring/statistics.ts'
import type { Timing } from './contender.ts'

/** What the rounds gave, by contender; each list has one entry for each round. */
export interface MoveResults {
  readonly rows: number
  readonly tidemark: readonly Timing[]
  readonly rawPipe: readonly Timing[] | undefined
  readonly pgloader: readonly Timing[] | undefined
}

const mebibyte = 1024 * 1024

const all = (timings: readonly Timing[] | undefined, pick: (timing: Timing) => number | undefined): readonly number[] =>
  (timings ?? []).map(pick).filter((value) => value !== undefined)

const inSeconds = (name: string, milliseconds: readonly number[]): Figure => ({
  name,
  values: milliseconds.map((ms) => ms / 1000),
  unit: 's',
})

const ratio = (name: string, values: readonly number[], baseline: string, baselines: readonly number[]): Measure | undefined =>
  values.length === 0 || baselines.length === 0 ? undefined : { name, baseline, values: ratios(values, baselines) }

const present = <T extends Measure>(measures: readonly (T | undefined)[]): readonly T[] =>
  measures.filter((measure) => measure !== undefined && measure.values.length > 0) as readonly T[]

const copyMs = ({ copyMs: value }: Timing): number | undefined => value
const beforeMs = ({ beforeMs: value }: Timing): number | undefined => value
const afterMs = ({ afterMs: value }: Timing): number | undefined => value
const totalMs = ({ totalMs: value }: Timing): number => value
const verifyMs = ({ verifyMs: value }: Timing): number | undefined => value
const processMib = ({ memory }: Timing): number | undefined => memory && memory.processBytes / mebibyte
const treeMib = ({ memory }: Timing): number | undefined => memory && memory.treeBytes / mebibyte

export interface MoveReport {
  readonly met: boolean
  readonly text: string
}

/** Figures, verdict, and the closing lines. */
export const moveReport = ({ rows, tidemark, rawPipe, pgloader }: MoveResults): MoveReport => {
  const figures = present<Figure>([
    inSeconds('raw-pipe, rows', all(rawPipe, copyMs)),
    inSeconds('raw-pipe, keys, indexes, foreign keys', all(rawPipe, afterMs)),
    inSeconds('raw-pipe, total', all(rawPipe, totalMs)),
    inSeconds('pgloader, total', all(pgloader, totalMs)),
    inSeconds('tidemark, start and plan', all(tidemark, beforeMs)),
    inSeconds('tidemark, rows', all(tidemark, copyMs)),
    inSeconds('tidemark, tables, keys, indexes, foreign keys, statistics', all(tidemark, afterMs)),
    inSeconds('tidemark, total', all(tidemark, totalMs)),
    inSeconds('tidemark, verify', all(tidemark, verifyMs)),
    { name: 'tidemark, rows', values: all(tidemark, copyMs).map((ms) => rows / ms), unit: 'thousand a second' },
    { name: 'tidemark, largest process', values: all(tidemark, processMib), unit: 'MiB' },
    { name: 'tidemark, all processes', values: all(tidemark, treeMib), unit: 'MiB' },
    { name: 'pgloader, all processes', values: all(pgloader, treeMib), unit: 'MiB' },
  ])
  const copyToRaw = ratio('move-copy-phase', all(tidemark, copyMs), 'raw-pipe', all(rawPipe, copyMs))
  const copyToPgloader = ratio('move-copy-phase', all(tidemark, copyMs), 'pgloader', all(pgloader, totalMs))
  const totalToPgloader = ratio('move-total', all(tidemark, totalMs), 'pgloader', all(pgloader, totalMs))
  const rss = present([{ name: 'move-peak-rss-mib', values: all(tidemark, treeMib) }])[0]
  const targets: readonly Target[] = [
    { measure: copyToRaw, what: 'copy phase at most 1.5 times the raw pipe', limit: 1.5 },
    { measure: copyToPgloader, what: 'copy phase at most half of what pgloader takes', limit: 0.5 },
    { measure: rss, what: 'at most 200 MiB of memory', limit: 200 },
  ]
  const verdict = judge(targets)
  const closing = present([
    copyToRaw,
    ratio('move-total', all(tidemark, totalMs), 'raw-pipe', all(rawPipe, copyMs)),
    ratio('move-total', all(tidemark, totalMs), 'raw-pipe-with-indexes', all(rawPipe, totalMs)),
    copyToPgloader,
    totalToPgloader,
    ratio('move-verify', all(tidemark, verifyMs), 'move-copy', all(tidemark, totalMs)),
    rss,
  ])
  const blocks = [summaryTable(figures), '', ...verdict.lines, '', ...closing.map(closingLine)]
  return { met: verdict.met, text: blocks.join('\n') }
}
