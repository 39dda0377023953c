import type { TidemarkConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import type { Provider, Shown } from '../../webhooks/providers/provider.js'
import { signDelivery } from '../../webhooks/providers/sign-delivery.js'
import { findServer } from '../project/presence.js'
import type { Project } from '../project/project.js'
import { webhookProviders } from '../webhooks/webhook-providers.js'

export interface SendRequest {
  readonly provider: string
  readonly body: Buffer
  /** Sent as they are; with any, nothing is signed. */
  readonly headers: Readonly<Record<string, string>>
}

export interface SendReport {
  readonly url: string
  readonly status: number
  readonly answer: unknown
  readonly ms: number
}

const usage = (reason: string): TidemarkError => new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark hooks send' })

/** As the intake finds it: names that are no provider's are those of the generic one. */
const providerOf = (config: TidemarkConfig, name: string): Provider => {
  const providers = webhookProviders(config)
  const provider = providers.find((each) => each.name === name) ?? providers.find((each) => each.name === 'generic')
  if (provider) return provider
  const known = providers.map((each) => each.name).join(', ')
  throw usage(
    `No provider ${name} is configured here${known === '' ? '' : `, only ${known}`}. Give it a key in webhooks.keys, or the headers of a delivery with --header.`,
  )
}

const signedBy = (config: TidemarkConfig, name: string, body: Buffer): Shown => {
  const shown = signDelivery(providerOf(config, name), body, Date.now())
  if (shown) return shown
  throw usage(`None of the keys of ${name} here signs what it sends. Give the headers of a delivery with --header.`)
}

/** Delivers a body to the project's server, as the provider would. Raises TM_CLI_USAGE, and what is wrong with a key. */
export const hooksSend = async ({ config, state }: Project, { provider, body, headers }: SendRequest): Promise<SendReport> => {
  const server = await findServer(state)
  if (!server) throw usage('No server runs in this project.')
  const shown: Shown = Object.keys(headers).length > 0 ? { headers } : signedBy(config, provider, body)
  const secret = shown.pathSecret === undefined ? '' : `/${encodeURIComponent(shown.pathSecret)}`
  const url = `${server.url}/webhooks/${encodeURIComponent(provider)}`
  const startedAt = performance.now()
  const response = await fetch(`${url}${secret}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...shown.headers },
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(30_000),
  })
  const text = await response.text()
  let answer: unknown = text
  try {
    answer = JSON.parse(text)
  } catch {
    // Shown as it is.
  }
  return { url, status: response.status, answer, ms: Math.round(performance.now() - startedAt) }
}
