import * as prom from 'prom-client'
import { TidemarkError } from '../errors.js'
import { maskSecrets } from '../secrets.js'
import { Histogram } from './histogram.js'
import type { Labels, Metrics, Sample } from './observability.js'

export interface MetricsOptions {
  /** Also measure the process itself (memory, event loop, garbage collection). Default false. */
  readonly process?: boolean
}

/** What the name of a gauge or a histogram may end in. */
const metricUnits = ['seconds', 'bytes', 'ratio', 'rows', 'entries', 'connections', 'commands', 'info', 'state'] as const

type Kind = 'counter' | 'gauge' | 'histogram'

const nameForm = /^tidemark(?:_[a-z][a-z0-9]*)+$/
const labelForm = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/

const whyBad = (kind: Kind, name: string, labels: readonly string[]): string | undefined => {
  if (!nameForm.test(name)) return 'it is not tidemark_… in snake case'
  const suffix = name.slice(name.lastIndexOf('_') + 1)
  if (kind === 'counter' && suffix !== 'total') return 'a counter ends in _total'
  const units: readonly string[] = metricUnits
  if (kind !== 'counter' && !units.includes(suffix)) return `it ends in none of the units ${metricUnits.join(', ')}`
  const label = labels.find((candidate) => !labelForm.test(candidate) || candidate === 'le')
  return label === undefined ? undefined : `the label "${label}" is not in snake case`
}

/** Values of labels are few, and each comes often. */
const maxKnownValues = 1000
const knownValues = new Map<string, string>()

const maskedValue = (value: string): string => {
  const known = knownValues.get(value)
  if (known !== undefined) return known
  if (knownValues.size >= maxKnownValues) knownValues.clear()
  const shown = maskSecrets(value)
  knownValues.set(value, shown)
  return shown
}

const masked = (labels: Readonly<Record<string, string | number>> = {}): Record<string, string | number> => {
  const shown: Record<string, string | number> = {}
  for (const name of Object.keys(labels)) {
    const value = labels[name]!
    shown[name] = typeof value === 'string' ? maskedValue(value) : value
  }
  return shown
}

const textual = (labels: Readonly<Record<string, string | number | undefined>>): Sample['labels'] =>
  Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]))

interface Known {
  readonly definition: string
  readonly metric: unknown
}

/** Makes the metrics of one process, in a registry of their own. */
export const createMetrics = ({ process = false }: MetricsOptions = {}): Metrics => {
  const registry = new prom.Registry()
  const known = new Map<string, Known>()
  if (process) prom.collectDefaultMetrics({ register: registry, prefix: 'tidemark_process_' })

  const define = <M>(kind: Kind, name: string, labels: readonly string[], buckets: readonly number[], make: () => M): M => {
    const definition = JSON.stringify([kind, labels, buckets])
    const before = known.get(name)
    const reason = before && before.definition !== definition ? 'it is already defined otherwise' : whyBad(kind, name, labels)
    if (reason !== undefined) throw new TidemarkError('TM_OBSERVABILITY_METRIC', { name, reason })
    if (before) return before.metric as M
    const metric = make()
    known.set(name, { definition, metric })
    return metric
  }

  const settings = (name: string, help: string, labels: readonly string[]) => ({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
  })

  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    read: async () =>
      (await registry.getMetricsAsJSON()).flatMap(({ name, values }) =>
        values.map(({ labels, value, ...more }) => ({
          // Of a histogram each value names itself.
          name: (more as { readonly metricName?: string }).metricName ?? name,
          labels: textual(labels),
          value,
        })),
      ),
    counter: <L extends string>(name: string, help: string, labels: readonly L[] = []) =>
      define('counter', name, labels, [], () => {
        const counter = new prom.Counter<string>(settings(name, help, labels))
        return {
          increment: (...[values]: Labels<L>) => counter.inc(masked(values)),
          add: (by: number, ...[values]: Labels<L>) => counter.inc(masked(values), by),
        }
      }),
    gauge: <L extends string>(name: string, help: string, labels: readonly L[] = []) =>
      define('gauge', name, labels, [], () => {
        const gauge = new prom.Gauge<string>(settings(name, help, labels))
        return {
          set: (value: number, ...[values]: Labels<L>) => gauge.set(masked(values), value),
          add: (by: number, ...[values]: Labels<L>) => gauge.inc(masked(values), by),
        }
      }),
    histogram: <L extends string>(name: string, help: string, labels: readonly L[] = [], buckets: readonly number[] = []) =>
      define('histogram', name, labels, buckets, () => {
        const histogram = new Histogram({ name, help, labelNames: labels, buckets, shown: masked })
        registry.registerMetric(histogram as unknown as prom.Histogram)
        return { observe: (value: number, ...[values]: Labels<L>) => histogram.observe(value, values) }
      }),
  }
}
