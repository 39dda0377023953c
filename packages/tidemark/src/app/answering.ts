/** Routes that say what they answer with. The compiler holds the handler to it; while it answers nothing is checked. */
import type { FastifyContextConfig, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'

type Settled<T> = T extends object ? { readonly [K in keyof T]: Settled<T[K]> } : T

/** What a schema describes, as nobody changes it any more. */
export type Told<S extends z.ZodType> = Settled<z.output<S>>

export interface AnsweringRoute<S extends z.ZodType> {
  readonly config: FastifyContextConfig
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => Told<S> | Promise<Told<S>>
}

/**
 * The options of a route whose answer, whatever status of 200 to 299 it has, is what `answer` describes: the handler gives it, and sets status and
 * headers on the reply. Where the schema is optional, undefined is an answer without a body, which wants the status 204.
 */
export const answering = <S extends z.ZodType>(
  answer: S,
  notes: Omit<FastifyContextConfig, 'answer' | 'media'>,
  handler: AnsweringRoute<S>['handler'],
): AnsweringRoute<S> => ({ config: { ...notes, answer }, handler })
