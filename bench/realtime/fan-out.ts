// One broadcast to many sockets, beside `ws` that sends a frame to each by a call of its own.
import type { Measure } from '../measuring/report.ts'
import { percentile, ratios } from '../measuring/statistics.ts'
import { joinFrame, type Part, type Side } from './part.ts'
import type { Program } from './program.ts'
import type { CrowdCalls } from './words.ts'

interface Turn {
  readonly perSecond: number
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** About 150 bytes, the same on both sides. */
const message = (n: number): string =>
  JSON.stringify([
    '1',
    null,
    'realtime:bench',
    'broadcast',
    { type: 'broadcast', event: 'bench', payload: { n, text: 'x'.repeat(64) } },
  ])

const burst = 50

const frames = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => message(n))

const turnOf = async (
  side: Side,
  crowd: Program<CrowdCalls>,
  { sockets, at, times }: { readonly sockets: number; readonly at: number; readonly times: number },
): Promise<Turn> => {
  const before = await side.serving.ask('usage', { collect: false })
  const { lastMs } = await crowd.ask('rounds', { frames: frames(at), times })
  const after = await side.serving.ask('usage', { collect: false })
  const deliveries = sockets * at * times
  const sorted = lastMs.toSorted((a, b) => a - b)
  const tookMs = lastMs.reduce((sum, ms) => sum + ms, 0)
  return {
    perSecond: (deliveries / tookMs) * 1000,
    cpuUs: (after.cpuUs - before.cpuUs) / deliveries,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  }
}

const names = ['tidemark-single', 'ws-single', 'tidemark-burst', 'ws-burst'] as const
type Name = (typeof names)[number]
const warmUps = 1

export const fanOut: Part = (stage, { rounds, sockets, messages, signal }) =>
  stage.withCrowd((ours) =>
    stage.withCrowd(async (theirs) => {
      const opening = { count: sockets + 1 }
      const { tidemark, ws } = stage
      const greetings = [joinFrame('bench')]
      await ours.ask('open', { ...opening, port: tidemark.port, path: tidemark.path, greetings, answer: '"phx_reply"' })
      await theirs.ask('open', { ...opening, port: ws.port, path: ws.path, greetings: [] })
      const turns: Record<Name, Turn[]> = { 'tidemark-single': [], 'ws-single': [], 'tidemark-burst': [], 'ws-burst': [] }
      const single = { sockets, at: 1, times: messages }
      const many = { sockets, at: burst, times: Math.max(1, Math.ceil(messages / burst)) }
      for (let round = 0; round < warmUps + rounds; round++) {
        for (let i = 0; i < names.length; i++) {
          signal.throwIfAborted()
          const name = names[(i + round) % names.length]!
          const isOurs = name.startsWith('tidemark')
          const turn = await turnOf(isOurs ? tidemark : ws, isOurs ? ours : theirs, name.endsWith('single') ? single : many)
          if (round >= warmUps) turns[name].push(turn)
        }
      }
      const pick = (name: Name, field: keyof Turn): readonly number[] => turns[name].map((turn) => turn[field])
      const against = (measure: string, name: Name, baseline: Name, field: keyof Turn): Measure => ({
        name: measure,
        baseline: 'ws',
        values: ratios(pick(name, field), pick(baseline, field)),
      })
      const deliveries = against('realtime-fan-out', 'tidemark-single', 'ws-single', 'perSecond')
      const p50 = against('realtime-fan-out-last-p50', 'tidemark-single', 'ws-single', 'p50Ms')
      const p99 = against('realtime-fan-out-last-p99', 'tidemark-single', 'ws-single', 'p99Ms')
      const coalesced = against('realtime-fan-out-burst', 'tidemark-burst', 'ws-burst', 'perSecond')
      const cpu = against('realtime-fan-out-cpu', 'tidemark-single', 'ws-single', 'cpuUs')
      return {
        figures: names.flatMap((name) => [
          {
            name: `fan-out to ${sockets}, ${name}`,
            values: pick(name, 'perSecond').map((n) => n / 1000),
            unit: 'thousand deliveries a second',
          },
          { name: '', values: pick(name, 'cpuUs'), unit: 'µs of the processor a delivery' },
          { name: '', values: pick(name, 'p50Ms'), unit: 'ms p50 of the last client' },
          { name: '', values: pick(name, 'p99Ms'), unit: 'ms p99 of the last client' },
        ]),
        measures: [deliveries, p50, p99, coalesced, cpu],
        targets: [
          { measure: deliveries, what: 'a broadcast: at least 0.6 of the deliveries a second of ws', limit: 0.6, bound: 'least' },
          { measure: p50, what: 'the last client at the median at most 1.5 times as late', limit: 1.5 },
          { measure: p99, what: 'the last client at p99 at most twice as late', limit: 2 },
          {
            measure: coalesced,
            what: `${burst} broadcasts in a turn: at least twice as many deliveries a second`,
            limit: 2,
            bound: 'least',
          },
        ],
      }
    }),
  )
