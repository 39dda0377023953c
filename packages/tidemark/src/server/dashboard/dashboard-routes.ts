import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isDevelopment } from '../../auth/settings.js'
import type { TidemarkConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import { ownHost } from '../http/own-host.js'
import { type DashboardFile, type DashboardFiles, findDashboard, readDashboard } from './dashboard-files.js'

/** Whether this server shows the dashboard: where it was asked for, and unasked in development. */
export const showsDashboard = (config: TidemarkConfig): boolean => config.dashboard.enabled ?? isDevelopment(config)

/** Where nobody said that it should be shown, it is there for browsers of this very machine that asked for this machine. */
export const reachesDashboard = (config: TidemarkConfig, request: FastifyRequest): boolean =>
  config.dashboard.enabled === true || ownHost(request) !== undefined

/** Only the page's own files run, and it speaks with nobody but the server that it came from. */
const policyOf = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

const acceptsGzip = ({ headers }: FastifyRequest): boolean => /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''))

const sendFile = (request: FastifyRequest, reply: FastifyReply, file: DashboardFile, isForever: boolean): FastifyReply => {
  reply
    .header('cache-control', isForever ? 'public, max-age=31536000, immutable' : 'no-cache')
    .header('etag', file.etag)
    .header('vary', 'accept-encoding')
  if (request.headers['if-none-match'] === file.etag) return reply.status(304).send()
  const zipped = acceptsGzip(request) ? file.zipped : undefined
  if (zipped) reply.header('content-encoding', 'gzip')
  return reply.type(file.type).send(zipped ?? file.body)
}

/** The page for a screen: it names the screen's files, which are loaded beside the shell and not after it. */
const pageOf = ({ html, screens }: DashboardFiles, screen: string, nonce: string): string => {
  const links = (screens[screen] ?? []).map((file) => `<link rel="modulepreload" crossorigin href="/${file}">`)
  return html.replace('%CSP_NONCE%', nonce).replace('</head>', `${links.join('')}</head>`)
}

const missing = `<!doctype html><meta charset="utf-8"><title>Tidemark</title><p>The dashboard is not built. In a checkout of Tidemark, run
<code>npm run build</code>; elsewhere install the package <code>@tidemark/dashboard</code>. Everything that it does is a command, too.`

/** `/`, the screens beside it, and their files; by default those of the installed package. */
export const addDashboard = async (app: FastifyInstance, config: TidemarkConfig, folder = findDashboard()): Promise<void> => {
  if (!showsDashboard(config)) return
  const dashboard = folder === undefined ? undefined : await readDashboard(folder)
  const checkReach = (request: FastifyRequest): void => {
    if (reachesDashboard(config, request)) return
    throw new TidemarkError('TM_SERVER_NOT_FOUND', { method: request.method, path: request.url.split('?')[0] ?? '/' })
  }
  const sendPage = (screen: string) => async (request: FastifyRequest, reply: FastifyReply) => {
    checkReach(request)
    const nonce = randomBytes(16).toString('base64')
    return reply
      .header('content-security-policy', policyOf(nonce))
      .header('cache-control', 'no-store')
      .type('text/html; charset=utf-8')
      .status(dashboard ? 200 : 503)
      .send(dashboard ? pageOf(dashboard, screen, nonce) : missing)
  }
  app.get('/', sendPage('overview'))
  for (const screen of Object.keys(dashboard?.screens ?? {})) if (screen !== 'overview') app.get(`/${screen}`, sendPage(screen))
  for (const [path, file] of dashboard?.files ?? [])
    app.get(`/${path}`, async (request, reply) => {
      checkReach(request)
      return sendFile(request, reply, await file(), path.startsWith('assets/'))
    })
}
