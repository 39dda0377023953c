import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { Alert, Notice } from '../alerts.js'
import { addressRules } from './address-guard.js'
import { createChannels } from './create-channels.js'
import { guardedPost } from './guarded-post.js'
import { slackMessage } from './slack-channel.js'
import { secretBytes, signedHeaders } from './standard-signature.js'

const cleanups = useCleanups()

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const receive = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
      answer(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received }
}

const alert: Alert = {
  id: '018f0000-0000-7000-8000-000000000001',
  alertType: 'disk',
  entityType: 'disk',
  entityId: '/data <b>',
  labels: { zone: 'a' },
  message: 'The disk is full & loud.',
  severity: 'critical',
  status: 'active',
  occurrences: 3,
  fingerprint: 'f',
  startedAtMs: 0,
  lastSeenAtMs: 1000,
  resolvedAtMs: undefined,
  acknowledgedBy: undefined,
}

const notice: Notice = { idempotencyKey: 'key:1', groupKey: 'g', sentAtMs: 1_700_000_000_500, items: [{ kind: 'firing', alert }] }
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const never = () => new AbortController().signal

const channelTo = (url: string, allowed: readonly string[] = ['127.0.0.1']) =>
  createChannels({
    definitions: { ops: { type: 'webhook', url, secret: [secret, `whsec_${Buffer.alloc(24, 9).toString('base64')}`] } },
    allowed,
    broadcast: undefined,
    log: silentLogger,
  })[0]!.channel

describe('a channel by webhook', () => {
  it('signs as Standard Webhooks does', () => {
    const vector = {
      secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestampSeconds: 1614265330,
      body: '{"test": 2432232314}',
    }
    const signed = signedHeaders([secretBytes(vector.secret)!], vector)
    expect(signed['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
    for (const bad of ['', 'whsec_', 'whsec_!!!', 'c2hvcnQ=']) expect(secretBytes(bad)).toBeUndefined()
  })

  it('is told once in JSON, with a signature of each secret and the same name over all attempts', async () => {
    const { url, received } = await receive((_request, response) => response.setHeader('x-request-id', 'r-1').end('ok'))
    const channel = channelTo(url)
    expect(await channel.send(notice, never())).toEqual({ providerId: 'r-1' })
    await channel.send({ ...notice, sentAtMs: notice.sentAtMs + 60_000 }, never())
    expect(received.map(({ headers }) => headers['webhook-id'])).toEqual(['key:1', 'key:1'])
    const [{ headers, body } = received[1]!] = received
    const expected = signedHeaders([secretBytes(secret)!], { id: 'key:1', timestampSeconds: 1_700_000_000, body })
    expect(String(headers['webhook-signature']).split(' ')).toHaveLength(2)
    expect(String(headers['webhook-signature'])).toContain(expected['webhook-signature'])
    expect(JSON.parse(body)).toMatchObject({
      type: 'alerts',
      data: {
        id: 'key:1',
        alerts: [{ kind: 'firing', id: alert.id, alert_type: 'disk', severity: 'critical', labels: { zone: 'a' } }],
      },
    })
  })

  it('follows nobody elsewhere', async () => {
    const inner = await receive((_request, response) => response.end())
    const { url } = await receive((_request, response) => response.writeHead(307, { location: inner.url }).end())
    await expect(channelTo(url).send(notice, never())).rejects.toMatchObject({ code: 'TM_ALERTS_UNDELIVERED' })
    expect(inner.received).toEqual([])
  })

  it('is not called where its address is closed, even if its name was public a moment ago', async () => {
    const { url, received } = await receive((_request, response) => response.end())
    await expect(channelTo(url, []).send(notice, never())).rejects.toMatchObject({ code: 'TM_ALERTS_ADDRESS' })
    const { port } = new URL(url)
    const answers = [['127.0.0.1'], ['8.8.8.8']]
    const lookups: string[] = []
    const post = guardedPost({
      channel: 'ops',
      url: new URL(`http://rebound.example.com:${port}/`),
      rules: addressRules(['127.0.0.1']),
      body: '{}',
      headers: {},
      signal: never(),
      lookup: async (host) => {
        lookups.push(host)
        return answers.shift() ?? []
      },
    })
    await post
    // Looked up once, and that address was called.
    expect([lookups, received.length]).toEqual([['rebound.example.com'], 1])
  })

  it('is given up where the message is at fault, and tried again where the way is', async () => {
    const outcomes: unknown[] = []
    for (const [status, headers] of [
      [400, {}],
      [422, {}],
      [401, {}],
      [429, { 'retry-after': '7' }],
      [503, {}],
    ] as const) {
      const { url } = await receive((_request, response) => response.writeHead(status, headers).end('a secret of the other end'))
      const error = await channelTo(url)
        .send(notice, never())
        .catch((failure: unknown) => failure as Error & { code: string; retryAfterMs?: number })
      if (!(error instanceof Error)) throw new Error('it was taken')
      expect(error.message).not.toMatch(/secret of|127\.0\.0\.1/)
      outcomes.push([status, error.code, error.retryAfterMs])
    }
    expect(outcomes).toEqual([
      [400, 'TM_ALERTS_REFUSED', undefined],
      [422, 'TM_ALERTS_REFUSED', undefined],
      [401, 'TM_ALERTS_UNDELIVERED', undefined],
      [429, 'TM_ALERTS_UNDELIVERED', 7000],
      [503, 'TM_ALERTS_UNDELIVERED', undefined],
    ])
  })

  it('does not wait for ever, and does not read for ever', async () => {
    const silent = await receive(() => undefined)
    await expect(channelTo(silent.url).send(notice, AbortSignal.timeout(50))).rejects.toMatchObject({
      code: 'TM_ALERTS_UNDELIVERED',
    })
    let isCut = false
    const endless = await receive((_request, response) => {
      response.on('close', () => {
        isCut = true
      })
      const more = (): void => {
        for (let goesOn = !response.destroyed; goesOn; ) goesOn = !response.destroyed && response.write(Buffer.alloc(16_384))
      }
      response.on('drain', more)
      more()
    })
    await channelTo(endless.url).send(notice, never())
    await until(() => isCut)
  })
})

describe('a channel by Slack', () => {
  it('takes markup as text, and a long list in short', () => {
    const { text, attachments } = slackMessage(Array.from({ length: 30 }, () => ({ kind: 'firing' as const, alert })))
    expect(text).toBe('FIRING critical disk disk /data &lt;b&gt;: The disk is full &amp; loud. (3 times)')
    expect(attachments[0]?.text.split('\n')).toHaveLength(21)
    expect(attachments[0]).toMatchObject({ color: '#a30200' })
    expect(slackMessage([{ kind: 'resolved', alert: { ...alert, status: 'resolved' } }]).attachments[0]?.color).toBe('#2eb886')
  })
})

describe('channels of a configuration', () => {
  const open = (definitions: Parameters<typeof createChannels>[0]['definitions']) => () =>
    createChannels({ definitions, allowed: [], broadcast: undefined, log: silentLogger })

  it('are refused where they cannot work, without a word of their secrets', () => {
    const url = 'https://hooks.example.com/T0/B0/very-secret'
    for (const definitions of [
      { Ops: { type: 'log' } },
      { ops: { type: 'webhook', url: 'no url', secret } },
      { ops: { type: 'webhook', url: 'https://a:very-secret@example.com/', secret } },
      { ops: { type: 'webhook', url, secret: 'very-secret' } },
      { ops: { type: 'slack', url, fallback: 'ops' } },
      { ops: { type: 'slack', url, fallback: 'nobody' } },
      { ops: { type: 'realtime', topic: 'alerts' } },
    ] as const) {
      expect(open(definitions)).toThrowError(expect.objectContaining({ code: 'TM_ALERTS_CHANNEL' }) as Error)
      expect(open(definitions)).not.toThrow('very-secret')
    }
    expect(open({ ops: { type: 'slack', url, fallback: 'log' }, log: { type: 'log' } })()).toHaveLength(2)
  })
})
