/**
 * The steps of Stay Strong, and how a yarn goes through them.
 *
 * ```
 *  welcome ─► support_people ─► strengths ─► worries ─► goals ─► summary ─► llm_conversation
 *                 each of the four: one unclear answer is asked about,          (or the end)
 *                 after the second the yarn moves on kindly
 * ```
 * Goals may also lead straight to llm_conversation, as older sessions have it.
 */
export const nextOf = {
  welcome: ['support_people'],
  support_people: ['strengths'],
  strengths: ['worries'],
  worries: ['goals'],
  goals: ['summary', 'llm_conversation'],
  summary: ['llm_conversation'],
  llm_conversation: [],
} as const satisfies Record<string, readonly string[]>

export type State = keyof typeof nextOf
export const states = Object.keys(nextOf) as [State, ...State[]]
export type Step = 'support_people' | 'strengths' | 'worries' | 'goals'

export const steps = ['support_people', 'strengths', 'worries', 'goals'] as const satisfies readonly Step[]

export const isStep = (state: State): state is Step => (steps as readonly State[]).includes(state)
