import type { ProgramEnd } from '../../scripts/programs.ts'

/** One closing line of a benchmark. */
export interface BenchFigure {
  readonly name: string
  readonly baseline: string | undefined
  readonly value: string
}

export interface BenchResult {
  readonly name: string
  /** Every target that could be judged is met. */
  readonly passed: boolean
  readonly seconds: number
  readonly figures: readonly BenchFigure[]
  /** Targets in words: `met`, `MISSED` or `not judged`, what has to hold, and what was measured. */
  readonly targets: readonly { readonly verdict: string; readonly what: string }[]
}

const closing = /^([a-z][\w-]*)(?: ratio to ([\w-]+))? (-?\d[\d.,]*)$/
const judged = /^\s*(met|MISSED|not judged)\s{2,}(.+)$/

/** What a benchmark's output says, by the forms in which all of them end. */
export const readResult = (
  name: string,
  { output, code, seconds }: Pick<ProgramEnd, 'output' | 'code' | 'seconds'>,
): BenchResult => {
  const lines = output.split('\n')
  return {
    name,
    passed: code === 0,
    seconds,
    figures: lines.flatMap((line) => {
      const [, figure, baseline, value] = closing.exec(line) ?? []
      return figure === undefined || value === undefined ? [] : [{ name: figure, baseline, value }]
    }),
    targets: lines.flatMap((line) => {
      const [, verdict, what] = judged.exec(line) ?? []
      return verdict === undefined || what === undefined ? [] : [{ verdict, what }]
    }),
  }
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

const ratioRows = ({ name, figures }: BenchResult): readonly string[] =>
  figures.flatMap((figure) =>
    figure.baseline === undefined ? [] : [`| ${name} | \`${figure.name}\` | \`${figure.baseline}\` | ${figure.value} |`],
  )

const figureRows = ({ name, figures }: BenchResult): readonly string[] =>
  figures.flatMap((figure) => (figure.baseline === undefined ? [`| ${name} | \`${figure.name}\` | ${figure.value} |`] : []))

const targetRows = ({ name, targets }: BenchResult): readonly string[] =>
  targets.map(({ verdict, what }) => `| ${name} | ${verdict === 'MISSED' ? '**missed**' : verdict} | ${cell(what)} |`)

/** The page that `npm run bench` writes. `left`: those that were not run. */
export const benchmarksPage = (
  results: readonly BenchResult[],
  left: readonly string[],
  conditions: readonly (readonly [string, string])[],
  at: Date,
): string => {
  const failed = results.filter(({ passed }) => !passed).map(({ name }) => name)
  return `# Benchmarks

Written by \`npm run bench\` on ${at.toISOString().slice(0, 10)}; change nothing here. What each line means stands in [bench/README.md](../bench/README.md). A ratio compares two contenders that took turns in one
run, so it holds on other machines as well as such things do; figures without a baseline are of this machine alone. ${left.length === 0 ? 'All benchmarks were run.' : `Not run: ${left.join(', ')}.`} ${failed.length === 0 ? 'Every target that could be judged is met.' : `Missed, or ended early: ${failed.join(', ')}.`}

## What it was measured on

| | |
|---|---|
${conditions.map(([what, value]) => `| ${what} | ${cell(value)} |`).join('\n')}

## Ratios

| benchmark | what | against | ratio |
|---|---|---|---|
${results.flatMap(ratioRows).join('\n')}

## Figures of this machine

| benchmark | what | figure |
|---|---|---|
${results.flatMap(figureRows).join('\n')}

## Targets

| benchmark | | what has to hold, and what was measured |
|---|---|---|
${results.flatMap(targetRows).join('\n')}
`
}
