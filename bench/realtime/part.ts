import type { BenchPostgres } from '../measuring/bench-postgres.ts'
import type { Figure, Measure, Target } from '../measuring/report.ts'
import type { Program } from './program.ts'
import type { CrowdCalls, ServingCalls } from './words.ts'

export interface Side {
  readonly serving: Program<ServingCalls>
  readonly port: number
  /** Of the upgrade. */
  readonly path: string
  readonly anonKey: string
}

export interface RealtimeStage {
  readonly postgres: BenchPostgres
  readonly tidemark: Side
  readonly ws: Side
  /** Clients in a process of their own, for as long as `work` takes. */
  withCrowd<T>(work: (crowd: Program<CrowdCalls>) => Promise<T>): Promise<T>
  /** Of the user with that number. */
  token(user: number): string
}

export interface PartOptions {
  readonly rounds: number
  readonly sockets: number
  readonly messages: number
  readonly changes: number
  readonly idle: number
  readonly filters: number
  readonly signal: AbortSignal
}

export interface PartReport {
  readonly figures: readonly Figure[]
  readonly measures: readonly Measure[]
  readonly targets: readonly Target[]
}

export type Part = (stage: RealtimeStage, options: PartOptions) => Promise<PartReport>

export const joinFrame = (topic: string, config: object = {}, token?: string): string =>
  JSON.stringify([
    '1',
    '1',
    `realtime:${topic}`,
    'phx_join',
    {
      config: {
        broadcast: { ack: false, self: false },
        presence: { enabled: false },
        private: false,
        postgres_changes: [],
        ...config,
      },
      ...(token !== undefined && { access_token: token }),
    },
  ])

export const userId = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
