/** Who may call the routes of an application, held against the routes that it has. */
import type { FastifyInstance, InjectOptions } from 'fastify'

/**
 * `open`: wants no token. `shared`: whoever has signed in, and what it shows is the caller's own. `own`: of a thing that is somebody's; for anybody
 * else it is not there. `staff`: no user may. `key`: opens to one token alone, and a user's is none.
 */
export type RouteAccess = 'open' | 'shared' | 'own' | 'staff' | 'key'

export interface RouteFacts {
  readonly who: RouteAccess
  /** What a valid request has, so that nothing but its caller is wrong with it. */
  readonly body?: object
}

export interface RoutesDeclaration {
  /** By `GET /things/:id`. */
  readonly routes: Readonly<Record<string, RouteAccess | RouteFacts>>
  /** Of things of somebody else, by the names in the paths: a value, or one for each beginning of a path. */
  readonly names?: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  /** A token of a user who owns nothing. */
  readonly stranger: string
}

/** `├── /:id (GET, HEAD, PATCH)`, as far in as its place in the tree. */
const line = /^([│ ]*)[├└]── (.*?)(?: \(([A-Z, ]+)\))?$/

/** `GET /things/:id`, of all that it answers; HEAD comes with GET. */
export const listRoutes = (app: FastifyInstance): readonly string[] => {
  const labels: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((text) => {
      const [, indent, label, methods] = line.exec(text) ?? []
      if (indent === undefined || label === undefined) return []
      const depth = indent.length / 4
      labels.splice(depth, labels.length, label)
      const path = labels.join('')
      return (methods?.split(', ') ?? []).filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`)
    })
    .sort()
}

const factsOf = (declared: RouteAccess | RouteFacts): RouteFacts => (typeof declared === 'string' ? { who: declared } : declared)

const fill = (path: string, names: RoutesDeclaration['names'] = {}): string =>
  path.replaceAll(/:(\w+)/g, (_all, name: string) => {
    const value = names[name]
    if (typeof value === 'string') return value
    const [, found] = Object.entries(value ?? {}).find(([beginning]) => path.startsWith(beginning)) ?? []
    if (found === undefined) throw new Error(`${path}: no value is given for ${name}`)
    return found
  })

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly summary?: string }>>>>
}

/** Which of them the application's own document says nothing of. */
const untold = async (app: FastifyInstance, routes: readonly string[]): Promise<readonly string[]> => {
  const answer = await app.inject('/openapi.json')
  if (answer.statusCode !== 200) return [`GET /openapi.json is answered with ${answer.statusCode}.`]
  const { paths } = answer.json<Document>()
  return routes.flatMap((route) => {
    const [method, path] = route.split(' ') as [string, string]
    const told = paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    return told?.summary === undefined ? [`${route} is not in the document of the routes.`] : []
  })
}

const statusFor: Readonly<Partial<Record<RouteAccess, number>>> = { own: 404, staff: 403, key: 401 }

/**
 * Asks each without a token, with one that is none, and as a stranger. Gives what came out otherwise than declared, what is not declared, and what
 * `GET /openapi.json` does not tell of.
 */
export const checkRoutes = async (
  app: FastifyInstance,
  { routes, names, stranger }: RoutesDeclaration,
): Promise<readonly string[]> => {
  await app.ready()
  const there = listRoutes(app)
  const violations = [
    ...there.filter((route) => !(route in routes)).map((route) => `${route} is not declared.`),
    ...Object.keys(routes)
      .filter((route) => !there.includes(route))
      .map((route) => `${route} is declared and not there.`),
    ...(await untold(
      app,
      there.filter((route) => factsOf(routes[route] ?? 'open').who !== 'open'),
    )),
  ]
  for (const route of there) {
    const { who, body } = factsOf(routes[route] ?? 'open')
    if (who === 'open') continue
    const [method, path] = route.split(' ') as [InjectOptions['method'], string]
    const ask = async (token: string | undefined): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      return (await app.inject({ method: method!, url: fill(path, names), headers, ...(body && { payload: body }) })).statusCode
    }
    for (const [name, token] of [
      ['nobody', undefined],
      ['a token that is none', `${stranger}x`],
    ] as const) {
      const status = await ask(token)
      if (status !== 401) violations.push(`${route} answers ${name} with ${status}.`)
    }
    const wanted = statusFor[who]
    if (wanted === undefined) continue
    const status = await ask(stranger)
    if (status !== wanted) violations.push(`${route} answers a stranger with ${status}, and is declared '${who}'.`)
  }
  return violations
}
