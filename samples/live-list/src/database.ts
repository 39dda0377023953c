// Written by `npx tidemark schema types`, shortened to what is used here.
export type Database = {
  public: {
    Tables: {
      notes: {
        Row: { id: number; text: string; author: string | null; created_at: string }
        Insert: { id?: never; text: string; author?: string | null; created_at?: string }
        Update: { id?: never; text?: string; author?: string | null; created_at?: string }
        Relationships: []
      }
    }
  }
}
