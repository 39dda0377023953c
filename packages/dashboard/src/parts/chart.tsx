import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { timeOfDay } from '../format/format.ts'
import { useIsDark } from '../shell/theme.ts'

export interface Series {
  readonly label: string
  /** A token of the palette, such as `--accent`. */
  readonly color: string
  readonly values: readonly (number | null)[]
  /** Told apart from the others without colour, too. */
  readonly isDashed?: boolean
  readonly isFilled?: boolean
}

export interface ChartProps {
  /** What a screen reader says: the chart in a sentence. */
  readonly label: string
  /** Milliseconds since 1970, ascending. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
  readonly format?: (value: number) => string
}

/** The colour that a token, which may be a pair for light and dark, comes to here. */
const resolve = (element: HTMLElement, token: string): string => {
  const probe = document.createElement('i')
  probe.style.color = `var(${token})`
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

/** Pixels of a token; where there are no styles, as here. */
const sizeOf = (element: HTMLElement, token: string, otherwise: number): number =>
  Number.parseInt(getComputedStyle(element).getPropertyValue(token), 10) || otherwise

const translucent = (color: string): string => color.replace(/^rgb\((.+)\)$/, 'rgb($1 / 0.14)').replaceAll(', ', ' ')

interface Shape extends Pick<ChartProps, 'series'> {
  readonly format: ChartProps['format'] | undefined
}

/** A mark that reads as the one before it says nothing. */
const onceEach = (texts: readonly string[]): string[] => texts.map((text, at) => (text === texts[at - 1] ? '' : text))

/** Points of which no line tells: nothing is before them, and nothing after. */
const alone = (chart: UPlot, at: number): number[] => {
  const values = chart.data[at] ?? []
  return [...values.keys()].filter((n) => values[n] != null && values[n - 1] == null && values[n + 1] == null)
}

/** Seconds where minutes would not tell the marks apart. */
const timesOf = (at: readonly number[]): string[] => {
  const isClose = at.length > 1 && at[1]! - at[0]! < 60
  return onceEach(at.map((seconds) => timeOfDay(seconds * 1_000).slice(0, isClose ? 8 : 5)))
}

const optionsOf = (element: HTMLElement, { series, format = String }: Shape): UPlot.Options => {
  const [axis, grid] = [resolve(element, '--faint'), resolve(element, '--line')]
  const font = `${sizeOf(element, '--size-small', 12) - 1}px system-ui, sans-serif`
  const shared = { stroke: axis, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } }
  return {
    width: Math.max(element.clientWidth, 120),
    height: sizeOf(element, '--chart', 170),
    // Half of a mark of time: the last one stands at the very end.
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_chart, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...shared, size: 26, space: 70, values: (_chart, at) => timesOf(at) },
      { ...shared, size: 54, values: (_chart, at) => onceEach(at.map((value) => format(value))) },
    ],
    series: [
      {},
      ...series.map(({ label, color, isDashed, isFilled }) => {
        const stroke = resolve(element, color)
        return {
          label,
          stroke,
          width: 1.6,
          points: { show: true, size: 4, filter: alone },
          ...(isDashed && { dash: [5, 4] }),
          ...(isFilled && { fill: translucent(stroke) }),
        }
      }),
    ],
  }
}

const dataOf = (times: readonly number[], series: readonly Series[]): UPlot.AlignedData =>
  [times.map((ms) => ms / 1_000), ...series.map(({ values }) => [...values])] as UPlot.AlignedData

/** Lines over time. It is drawn anew for another theme or set of lines, and else only given its new values. */
export const Chart = ({ label, times, series, format }: ChartProps) => {
  const holder = useRef<HTMLDivElement>(null)
  const chart = useRef<UPlot>(null)
  const isDark = useIsDark()
  const latest = useRef({ times, series, format })
  latest.current = { times, series, format }
  const shape = `${series.map((one) => one.label).join('|')} ${isDark}`

  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape stands for what it is drawn of.
  useEffect(() => {
    const element = holder.current
    if (!element) return
    const drawn = new UPlot(optionsOf(element, latest.current), dataOf(latest.current.times, latest.current.series), element)
    chart.current = drawn
    const resized = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: drawn.height }))
    resized.observe(element)
    return () => {
      resized.disconnect()
      drawn.destroy()
      chart.current = null
    }
  }, [shape])

  useEffect(() => chart.current?.setData(dataOf(times, series)), [times, series])

  return (
    <figure className="chart">
      <div ref={holder} role="img" aria-label={label} />
      <figcaption className="legend" aria-hidden>
        {series.map((one) => (
          <span key={one.label}>
            <i style={{ borderTopColor: `var(${one.color})`, borderTopStyle: one.isDashed ? 'dashed' : 'solid' }} />
            {one.label}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}
