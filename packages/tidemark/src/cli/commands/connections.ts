import { exitCodes } from '../../errors.js'
import type { ConnectionsRequest } from '../../server/operations/realtime-connections.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { closedText, connectionsText } from '../text/connections-text.js'

const ask = () => import('../../server/ask/ask-connections.js')

export const connectionsList: Run<ConnectionsRequest> = async (
  context,
  _args,
  { node, protocol, user, channel, after, limit },
) => {
  const request = { node, protocol, user, channel, after, limit }
  const page = await (await ask()).askConnections(await commandProject(context), request)
  context.terminal.result(page, () => connectionsText(page))
  return exitCodes.ok
}

export const connectionsClose: Run = async (context, [id = '']) => {
  const ended = await (await ask()).askClose(await commandProject(context), id)
  context.terminal.result(ended, (colors) => closedText(ended, colors))
  return exitCodes.ok
}
