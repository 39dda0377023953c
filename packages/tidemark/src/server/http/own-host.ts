import type { FastifyRequest } from 'fastify'

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i
const loopbackAddress = /^(?:127(?:\.\d{1,3}){3}|::1|::ffff:127(?:\.\d{1,3}){3})$/i
const forwarding = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/** The host that a browser of this very machine asked for. Another name may be one that somebody else's page was reached by. */
export const ownHost = ({ headers, raw }: Pick<FastifyRequest, 'headers' | 'raw'>): string | undefined => {
  const { host = '' } = headers
  const isOwn = loopbackHost.test(host) && loopbackAddress.test(raw.socket.remoteAddress ?? '')
  return isOwn && forwarding.every((name) => headers[name] === undefined) ? host : undefined
}
