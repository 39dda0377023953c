/** What an application answers, held against what it says that it answers. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly responses: { readonly '2XX'?: { readonly content?: Readonly<Record<string, { readonly schema?: object }>> } }
}

const isTold = ({ responses }: Operation): boolean =>
  Object.values(responses['2XX']?.content ?? {}).some(({ schema }) => schema !== undefined && Object.keys(schema).length > 0)

/** `GET /things/{id}` of each route in `/openapi.json` of which it does not say what it answers where it succeeds. */
export const untoldAnswers = async (app: FastifyInstance): Promise<readonly string[]> => {
  const { paths } = (await app.inject('/openapi.json')).json<Document>()
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) => (isTold(operation) ? [] : [`${method.toUpperCase()} ${path}`])),
  )
}

export interface WatchedAnswers {
  /** Routes that answered with something else than they say, and what is wrong with it. */
  readonly violations: readonly string[]
  /** `GET /things/:id` of each route that has answered with success. */
  readonly answered: ReadonlySet<string>
}

/** Holds every answer from here on, as it is sent, against the schema that its route names. Before the app has answered anything. */
export const watchAnswers = (app: FastifyInstance): WatchedAnswers => {
  const violations: string[] = []
  const answered = new Set<string>()
  app.addHook('onSend', async ({ routeOptions: { url, config }, method }, { statusCode }, payload) => {
    if (statusCode < 200 || statusCode > 299 || !config?.answer) return
    answered.add(`${method} ${url}`)
    const body = statusCode === 204 ? undefined : JSON.parse(String(payload))
    const { error } = config.answer.safeParse(body)
    if (error) violations.push(`${method} ${url}: ${z.prettifyError(error)}`)
  })
  return { violations, answered }
}
