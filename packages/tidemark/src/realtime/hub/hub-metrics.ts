import type { Metrics } from '../../observability/observability.js'

/** What one protocol's sockets did, counted in plain numbers: a labelled counter for each frame would cost more than the frame. */
export interface Traffic {
  connections: number
  framesIn: number
  framesOut: number
  bytesIn: number
  bytesOut: number
}

export const noTraffic = (): Traffic => ({ connections: 0, framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 })

export interface HubMetrics {
  /** Shows what happened since the last time. */
  show(protocol: string, traffic: Traffic): void
  showBuffered(bytes: number): void
  ended(protocol: string, reason: string): void
  refused(protocol: string, status: number): void
}

export const createHubMetrics = (metrics: Metrics): HubMetrics => {
  const connections = metrics.gauge('tidemark_realtime_connections', 'Clients that are connected.', ['protocol'])
  const frames = metrics.counter('tidemark_realtime_frames_total', 'Frames of sockets.', ['protocol', 'direction'])
  const bytes = metrics.counter('tidemark_realtime_transferred_bytes_total', 'Bytes of the frames of sockets.', [
    'protocol',
    'direction',
  ])
  const buffered = metrics.gauge('tidemark_realtime_buffered_bytes', 'Bytes that wait for clients to read them.')
  const endings = metrics.counter('tidemark_realtime_cut_off_total', 'Connections that this side ended, by reason.', [
    'protocol',
    'reason',
  ])
  const refusals = metrics.counter('tidemark_realtime_refused_total', 'Upgrades that were refused, by status.', [
    'protocol',
    'status',
  ])
  const shown = new Map<string, Traffic>()
  return {
    show: (protocol, traffic) => {
      const before = shown.get(protocol) ?? noTraffic()
      connections.set(traffic.connections, { protocol })
      frames.add(traffic.framesIn - before.framesIn, { protocol, direction: 'in' })
      frames.add(traffic.framesOut - before.framesOut, { protocol, direction: 'out' })
      bytes.add(traffic.bytesIn - before.bytesIn, { protocol, direction: 'in' })
      bytes.add(traffic.bytesOut - before.bytesOut, { protocol, direction: 'out' })
      shown.set(protocol, { ...traffic })
    },
    showBuffered: (count) => buffered.set(count),
    ended: (protocol, reason) => endings.increment({ protocol, reason }),
    refused: (protocol, status) => refusals.increment({ protocol, status }),
  }
}
