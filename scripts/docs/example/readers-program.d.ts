/**
 * What the examples of the documentation take from their reader's own program, so that they can be compiled. Nothing of Tidemark: where a
 * name here is one of its names too, the examples mean the reader's. A snippet that declares such a name itself means its own.
 */
declare const url: string
declare const key: string
declare const anonKey: string
declare const email: string
declare const password: string
declare const title: string
declare const userId: string
declare const id: string
declare const user: string
declare const tenant: string
declare const element: Element
declare const Notes: () => null
declare const createRoot: (element: Element) => { render(what: unknown): void }
declare const test: (name: string, run: () => unknown) => void

declare const supabase: import('@supabase/supabase-js').SupabaseClient
declare const channel: import('@supabase/supabase-js').RealtimeChannel
declare const createClient: typeof import('@supabase/supabase-js').createClient
declare const Pusher: typeof import('pusher-js').default
declare const PusherServer: typeof import('pusher')
declare const KEY: string
declare const ID: string
declare const SECRET: string

declare const show: (...what: unknown[]) => void
declare const showTyping: (what: unknown) => void
declare const fetchAgain: () => void
declare const mail: { send(to: string, text: string): Promise<void> }
declare const page: (
  lines: readonly string[],
  how: { readonly idempotencyKey: string; readonly signal: AbortSignal },
) => Promise<void>

declare const pool: import('tidemark').Pool
declare const neon: import('tidemark').Pool
declare const redis: import('tidemark').Redis
declare const connect: () => Promise<import('tidemark').Redis>
declare const session: import('tidemark/testing').AccessSession
declare const config: import('tidemark').TidemarkConfig
declare const server: import('tidemark').TidemarkServer
declare const cache: import('tidemark').OpenCache<Record<never, never>>
declare const state: import('tidemark').State
declare const resilience: import('tidemark').Resilience
declare const limiter: import('tidemark').Limiter
declare const perUser: import('tidemark').Limiter
declare const perTenant: import('tidemark').Limiter
declare const rules: readonly import('tidemark').RelayRule[]
declare const app: import('fastify').FastifyInstance
declare const delivery: Parameters<import('tidemark').Intake['receive']>[0]
declare const addLead: import('tidemark').WebhookHandler
declare const addNote: import('tidemark').WebhookHandler
declare const noteIt: import('tidemark').WebhookHandler
declare const tellTheAgent: import('tidemark').WebhookHandler
declare const audit: import('tidemark').WebhookHandler

interface Row {
  readonly id: string
}
declare const row: Row
declare const insert: (rows: readonly unknown[]) => Promise<void>
interface Lead {
  readonly id: string
  readonly version: number
}
interface Tables {
  note: { title: string; done: boolean; at: Date; data: object }
}

// The shop of docs/apps.md.
interface Caller {
  readonly userId: string
}
interface Article {
  readonly name: string
}
interface AppOptions {
  readonly db: import('tidemark').Pool
  readonly reads: { article(id: string, context: unknown): Promise<import('tidemark/app').Read<Article>> }
  readonly writes: { write<T>(fn: (tx: unknown) => Promise<T>): Promise<import('tidemark/app').WrittenAt<T>> }
  readonly jwtSecret: string
  readonly onFailure: (failure: import('tidemark/app').Failure) => void
}
type ShopSettings = import('tidemark/app').DatabaseSettings & { readonly JWT_SECRET: string }
declare const ShopError: import('tidemark/app').AppErrors
declare const createAuthenticate: (secret: string) => import('tidemark/app').Authenticate<Caller>
declare const createApp: (options: Pick<AppOptions, 'db' | 'onFailure'>) => import('fastify').FastifyInstance
declare const idOf: (request: unknown) => string
declare const articleRow: import('zod').ZodType<Article>
declare const newArticle: import('zod').ZodType<Article>
declare const createArticle: (tx: unknown, caller: unknown, article: Article) => Promise<Article>
declare const purge: (cache: unknown, signal: AbortSignal) => Promise<void>
declare const shopCaches: Record<never, never>
