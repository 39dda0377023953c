/** What routes take and answer, as an OpenAPI document: of the schemas that they are held against, so that it cannot say anything else. */
import type { FastifyContextConfig, FastifyInstance, RouteOptions } from 'fastify'
import { z } from 'zod'
import { answering } from './answering.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route is for, in a few words. */
    readonly summary?: string
    /** What its body is held against. */
    readonly body?: z.ZodType
    /** What its query is held against. */
    readonly query?: z.ZodType
    /** What it answers with where it succeeds: by `answering`, which holds the handler to it. */
    readonly answer?: z.ZodType
    /** Of an answer that is no JSON, such as `text/event-stream`. */
    readonly media?: string
    /** True where it wants no token. */
    readonly open?: boolean
  }
}

export interface ApiInfo {
  readonly title: string
  readonly version: string
}

type Schema = Readonly<Record<string, unknown>>

/** `input`: as it is sent, before defaults and the like. */
const schemaOf = (type: z.ZodType, io: 'input' | 'output'): Schema => {
  const { $schema: _, ...schema } = z.toJSONSchema(type, {
    io,
    unrepresentable: 'any',
    target: 'draft-2020-12',
    // Of what is answered the format says enough.
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.format !== undefined) delete jsonSchema.pattern
    },
  })
  return schema
}

const refusal: Schema = {
  type: 'object',
  required: ['error', 'code'],
  properties: {
    error: { type: 'string' },
    code: { type: 'string' },
    fields: { type: 'object', description: 'What is wrong with each field.', additionalProperties: { type: 'string' } },
  },
}

const parametersOf = (url: string, query: z.ZodType | undefined): readonly object[] => {
  const inPath = [...url.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const { properties = {}, required = [] } = query
    ? (schemaOf(query, 'input') as {
        readonly properties?: Readonly<Record<string, Schema>>
        readonly required?: readonly string[]
      })
    : {}
  const inQuery = Object.entries(properties).map(([name, schema]) => ({
    ...{ name, in: 'query', schema },
    ...(required.includes(name) && { required: true }),
  }))
  return [...inPath, ...inQuery]
}

const done = (media: string, schema: Schema): Schema => ({ description: 'Done.', content: { [media]: { schema } } })

const successesOf = ({ answer, media }: FastifyContextConfig): Readonly<Record<string, Schema>> => {
  if (media !== undefined) return { '2XX': done(media, { type: 'string' }) }
  if (!answer) return { '2XX': { description: 'Done.' } }
  const mayBeNone = answer instanceof z.ZodOptional
  return {
    '2XX': done('application/json', schemaOf(answer, 'output')),
    ...(mayBeNone && { '204': { description: 'Done; there is nothing to answer with.' } }),
  }
}

const operationOf = ({ url, config = {} }: RouteOptions): object => {
  const { summary, body, query, open } = config
  const parameters = parametersOf(url, query)
  return {
    ...(summary !== undefined && { summary }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    ...(!open && { security: [{ bearer: [] }] }),
    responses: {
      ...successesOf(config),
      default: { description: 'Refused.', content: { 'application/json': { schema: { $ref: '#/components/schemas/Refusal' } } } },
    },
  }
}

/** As far as it tells of itself what it is. */
const apiDocument = z.looseObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
})
type ApiDocument = z.infer<typeof apiDocument>

/** What is known of the routes. */
export interface ApiNotes {
  /** Notes the routes that are added to it from here on; with `openAlone`, those whose `config` says that they are open. */
  note(app: FastifyInstance, options?: { readonly openAlone?: boolean }): void
  /** Adds `GET /openapi.json`, which anybody may read. */
  serve(app: FastifyInstance): void
}

/** `refused`: what a refusal looks like, where it is not `{error, code, fields?}`. */
export const createApiNotes = (info: ApiInfo, refused: Schema = refusal): ApiNotes => {
  const paths: Record<string, Record<string, object>> = {}
  let written: ApiDocument | undefined
  const document = (): ApiDocument => {
    written ??= {
      openapi: '3.1.0',
      info: { ...info },
      paths: Object.fromEntries(Object.entries(paths).sort(([one], [other]) => (one < other ? -1 : 1))),
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
        schemas: { Refusal: refused },
      },
    }
    return written
  }
  return {
    note: (app, { openAlone = false } = {}) => {
      app.addHook('onRoute', (route) => {
        if (openAlone && !route.config?.open) return
        const path = route.url.replace(/:(\w+)/g, '{$1}')
        const operations = paths[path] ?? {}
        for (const method of [route.method].flat()) if (method !== 'HEAD') operations[method.toLowerCase()] = operationOf(route)
        paths[path] = operations
      })
    },
    serve: (app) => {
      app.get('/openapi.json', answering(apiDocument, { summary: 'What each route takes and answers.', open: true }, document))
    },
  }
}
