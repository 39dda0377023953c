import type { FastifyInstance } from 'fastify'

export interface CorsOptions {
  readonly methods: readonly string[]
  /** Headers of answers that scripts may read besides the few that they always may. */
  readonly exposedHeaders: readonly string[]
  /** The scope answers an OPTIONS that is no preflight itself. */
  readonly ownOptions?: boolean
}

const maxAgeSeconds = 86_400

/**
 * Lets pages of any origin call what is below this scope. They bring their keys and tokens along in headers; nothing here goes by
 * cookies, so that another origin's page can do no more than anyone with the same keys.
 */
export const allowCrossOrigin = (scope: FastifyInstance, { methods, exposedHeaders, ownOptions = false }: CorsOptions): void => {
  scope.addHook('onRequest', async (request, reply) => {
    reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', exposedHeaders.join(', '))
    const isPreflight = request.headers['access-control-request-method'] !== undefined
    if (request.method !== 'OPTIONS' || !isPreflight) return
    const asked = request.headers['access-control-request-headers']
    reply
      .header('access-control-allow-methods', methods.join(', '))
      .header('access-control-max-age', String(maxAgeSeconds))
      .header('vary', 'access-control-request-headers')
    if (typeof asked === 'string' && /^[\w\-, ]{1,2048}$/.test(asked)) reply.header('access-control-allow-headers', asked)
    return reply.status(204).send()
  })
  if (ownOptions) return
  // It makes preflights of any path belong to this scope.
  scope.options('/*', async (_request, reply) => reply.status(204).send())
  scope.options('/', async (_request, reply) => reply.status(204).send())
}
