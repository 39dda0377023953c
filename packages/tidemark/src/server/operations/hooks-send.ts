import { createHmac, randomUUID } from 'node:crypto'
import type { TidemarkConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import { findServer } from '../project/presence.js'
import type { Project } from '../project/project.js'

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

interface Signed {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

const mac = (key: string | Buffer, message: string | Buffer, encoding: 'hex' | 'base64'): string =>
  createHmac('sha256', key).update(message).digest(encoding)

const standardHeaders = (key: string, body: Buffer): Readonly<Record<string, string>> => {
  const id = `msg_${randomUUID()}`
  const seconds = String(Math.floor(Date.now() / 1000))
  const secret = Buffer.from(key.replace(/^whsec_/, ''), 'base64')
  const signature = `v1,${mac(secret, Buffer.concat([Buffer.from(`${id}.${seconds}.`), body]), 'base64')}`
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature }
}

type Settings = Readonly<Record<string, unknown>>

/** As the provider would sign it, for those whose secret is a shared one. */
const sign = (kind: string, settings: Settings, key: string, body: Buffer): Signed | undefined => {
  switch (kind) {
    case 'rollout': {
      const message = settings['input'] === 'raw' ? body : body.toString('base64')
      return { path: '', headers: { 'x-rollout-signature': mac(key, message, 'hex') } }
    }
    case 'github':
      return { path: '', headers: { 'x-hub-signature-256': `sha256=${mac(key, body, 'hex')}` } }
    case 'standard-webhooks':
      return { path: '', headers: standardHeaders(key, body) }
    case 'lofty':
      return { path: `/${encodeURIComponent(key)}`, headers: {} }
    case 'generic': {
      const given = settings['signature'] as { header?: string; encoding?: 'hex' | 'base64'; prefix?: string } | undefined
      if (given === undefined) return { path: `/${encodeURIComponent(key)}`, headers: {} }
      const signature = `${given.prefix ?? ''}${mac(key, body, given.encoding ?? 'hex')}`
      return { path: '', headers: { [String(given.header)]: signature } }
    }
    default:
      return undefined
  }
}

const signedBy = ({ webhooks, apps }: TidemarkConfig, provider: string, body: Buffer): Signed => {
  const settings: Settings = { ...webhooks.providers?.[provider] }
  const key = webhooks.keys?.[provider]?.[0]?.key ?? (provider === 'rollout' ? apps.rolloutClientSecret : undefined)
  const signed = key === undefined ? undefined : sign(String(settings['kind'] ?? provider), settings, key, body)
  if (signed) return signed
  const reason =
    key === undefined
      ? `webhooks.keys has no key of ${provider} to sign with.`
      : `What ${provider} sends is signed with a key that only ${provider} has.`
  throw new TidemarkError('TM_CLI_USAGE', {
    reason: `${reason} Give the headers of a delivery with --header.`,
    command: 'tidemark hooks send',
  })
}

/** Delivers a body to the project's server, as the provider would. Raises TM_CLI_USAGE and TM_SERVER_REFUSED. */
export const hooksSend = async ({ config, state }: Project, { provider, body, headers }: SendRequest): Promise<SendReport> => {
  const server = await findServer(state)
  if (!server)
    throw new TidemarkError('TM_CLI_USAGE', { reason: 'No server runs in this project.', command: 'tidemark hooks send' })
  const signed = Object.keys(headers).length > 0 ? { path: '', headers } : signedBy(config, provider, body)
  const url = `${server.url}/webhooks/${encodeURIComponent(provider)}`
  const startedAt = performance.now()
  const response = await fetch(`${url}${signed.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...signed.headers },
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
