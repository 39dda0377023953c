import type { ConnectionEntry, ConnectionPage, EndedConnection } from '../../realtime/connections/connections.js'
import type { Colors } from '../terminal/terminal.js'
import { table } from './table.js'

const headings = ['id', 'since', 'protocol', 'user', 'role', 'channels', 'told', 'waiting', 'node']
const mostNamed = 3

const channelsText = ({ channels, channelCount }: ConnectionEntry): string => {
  const named = channels.slice(0, mostNamed).join(', ')
  return channelCount > mostNamed ? `${named} and ${channelCount - mostNamed} more` : named
}

export const connectionsText = ({ connections, next, nodes, silent }: ConnectionPage): string => {
  const all = nodes.reduce((sum, node) => sum + node.connections, 0)
  const rows = connections.map((one) => [
    one.id,
    one.since,
    one.protocol,
    one.user ?? '',
    one.role ?? '',
    channelsText(one),
    one.told,
    `${one.waitingBytes} B`,
    one.node,
  ])
  return [
    `${all} connections on ${nodes.length === 1 ? 'one server' : `${nodes.length} servers`}.`,
    ...(rows.length > 0 ? [table(headings, rows)] : all > 0 ? ['None of them is like that.'] : []),
    ...(next === null ? [] : [`There are more: --after ${next}`]),
    ...(silent === 0
      ? []
      : [`${silent === 1 ? 'One other server does' : `${silent} other servers do`} not answer: theirs are missing.`]),
  ].join('\n')
}

export const closedText = ({ id, node, code, reason, next }: EndedConnection, { green }: Colors): string =>
  [`${green('✓')} ${id} on ${node} is closed: ${code}, ${reason}.`, ...(next === undefined ? [] : [next])].join('\n')
