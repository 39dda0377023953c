import { expect, expectTypeOf, test } from 'vitest'
import type { AgentSupabaseService } from './agents/index.js'
import type { useSupabaseAgent } from './agents/react/index.js'
import type { LiveSnapshot, Tidemark } from './index.js'

/** As `tidemark schema types` writes it. */
type Database = {
  public: {
    Tables: {
      notes: {
        Row: { id: number; text: string; rank: number | null }
        Insert: { id?: never; text: string; rank?: number | null }
        Update: { id?: never; text?: string; rank?: number | null }
        Relationships: []
      }
    }
  }
}

type Client = Tidemark<Database>
interface Note {
  readonly id: number
  readonly text: string
  readonly rank: number | null
}

// Nothing of it runs: the compiler holds it.
const uses = async (tidemark: Client): Promise<void> => {
  const view = tidemark.live('notes', {
    where: { rank: { gte: 1 }, text: 'a' },
    order: { rank: 'desc' },
    key: 'id',
    fixed: ['text'],
  })
  expectTypeOf(view.snapshot()).toExtend<LiveSnapshot<Note>>()
  expectTypeOf(await tidemark.insert('notes', { text: 'a' })).toExtend<Note>()
  expectTypeOf(await tidemark.update('notes', { id: 1 }, { rank: null })).toExtend<Note>()
  // @ts-expect-error there is no such table
  tidemark.live('rooms')
  // @ts-expect-error there is no such column
  tidemark.live('notes', { where: { done: true } })
  // @ts-expect-error it is a number
  tidemark.live('notes', { where: { rank: 'high' } })
  // @ts-expect-error there is no such order
  tidemark.live('notes', { order: { rank: 'up' } })
  // @ts-expect-error text is missing
  await tidemark.insert('notes', { rank: 1 })
  // @ts-expect-error the database draws it
  await tidemark.insert('notes', { id: 1, text: 'a' })
  // @ts-expect-error there is no such column
  await tidemark.update('notes', { id: 1 }, { done: true })
}

test('tables and columns are those of the generated types', () => expect(uses).toBeTypeOf('function'))

test('R108, R109: names, arguments and results are the documented ones', () => {
  type Service = typeof AgentSupabaseService
  expectTypeOf<Parameters<Service['getAgentExecutions']>>().toEqualTypeOf<
    [agentId?: string | undefined, limit?: number | undefined]
  >()
  expectTypeOf<Parameters<Service['getAgentMetrics']>>().toEqualTypeOf<
    [agentId?: string | undefined, hours?: number | undefined]
  >()
  expectTypeOf<Parameters<Service['getSystemHealth']>>().toEqualTypeOf<[hours?: number | undefined]>()
  expectTypeOf<ReturnType<Service['subscribeToAgentUpdates']>>().toHaveProperty('unsubscribe')
  expectTypeOf<ReturnType<Service['subscribeToSystemHealth']>>().toHaveProperty('unsubscribe')
  expectTypeOf<keyof ReturnType<typeof useSupabaseAgent>>().toEqualTypeOf<
    'agents' | 'executions' | 'metrics' | 'loading' | 'error' | 'actions'
  >()
})
