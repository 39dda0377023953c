/** What the yarn says: configuration, checked when it is read. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const text = z.string().min(1)
const step = z.object({ prompt: text, clarify: text, acknowledge: text, none: text, moveOn: text })

const wordingSchema = z.object({
  approvedBy: text.nullable(),
  helplines: z.array(z.object({ name: text, number: text, who: text })).min(1),
  risk: z.object({ high: text, medium: text, ask: text, counsellor: text }),
  fallback: text,
  steps: z.object({
    /** `notice`: what this is, for whoever goes on with their first words. Where it is left out, the prompt. */
    welcome: z.object({ prompt: text, notice: text.optional() }),
    support_people: step,
    strengths: step,
    worries: step,
    goals: step,
  }),
  summary: z.object({
    lead: text,
    labels: z.object({ support_people: text, strengths: text, worries: text, goals: text }),
    empty: text,
    confirm: text,
  }),
  closing: text,
  yarn: text,
  refusals: z.object({
    tooMany: text,
    message: text,
    form: text,
    tooLarge: text,
    notFound: text,
    token: text,
    limit: text,
    failed: text,
  }),
})

export type Wording = z.infer<typeof wordingSchema>

/** Reads a file of wording; raises what zod raises, with the path of the sentence that is missing. */
export const readWording = (file: URL | string = new URL('../wording/en-au.json', import.meta.url)): Wording =>
  wordingSchema.parse(JSON.parse(readFileSync(file, 'utf8')))

/** The helplines, one to a line. */
export const helplineBlock = ({ helplines }: Wording): string =>
  helplines.map(({ name, number, who }) => `${name} ${number} (${who})`).join('\n')
