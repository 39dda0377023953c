import type {} from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

/** The types of a reader's database, as `tidemark schema types` writes them. */
interface Table<Row> {
  Row: Row
  Insert: Partial<Row>
  Update: Partial<Row>
  Relationships: []
}

export interface Database {
  public: {
    Tables: {
      notes: Table<{ id: number; text: string }>
      messages: Table<{ id: number; text: string; room: string; at: string }>
    }
    Views: Record<never, never>
    Functions: Record<never, never>
  }
}
