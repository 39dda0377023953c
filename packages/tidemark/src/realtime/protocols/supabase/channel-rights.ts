import type { ChannelRights } from '../../messages/messages.js'
import type { Identity } from './identity.js'
import { JoinRefusal, unauthorized } from './join-refusal.js'
import type { JoinRequest } from './join-request.js'
import type { Services } from './services.js'

/** What everybody may in a channel that is not private. */
export const everything: ChannelRights = { broadcast: { read: true, write: true }, presence: { read: true, write: true } }

export interface RightsQuestion {
  readonly services: Services
  readonly request: JoinRequest
  readonly name: string
  /** That policies may look at. */
  readonly headers: Readonly<Record<string, string>>
}

/** What the caller may do in the channel, by the policies of the moment. Raises JoinRefusal where it may read nothing of it. */
export const askRights = async (
  { services, request, name, headers }: RightsQuestion,
  { caller }: Identity,
): Promise<ChannelRights> => {
  if (!request.private) return everything
  const { policies } = services.parts() ?? {}
  if (!policies) throw new JoinRefusal('UnableToSetPolicies', 'This server has no private channels')
  const rights = await policies.check(name, caller, { headers })
  if (!rights.broadcast.read && !rights.presence.read) throw unauthorized(name)
  return rights
}

/** Whether something that was read before may be read no more. */
export const isRevoked = (before: ChannelRights, now: ChannelRights): boolean =>
  (['broadcast', 'presence'] as const).some((kind) => before[kind].read && !now[kind].read)

/** Raises JoinRefusal where older messages are asked for that the channel cannot be told. */
export const checkReplay = ({ services, request, name }: RightsQuestion, rights: ChannelRights): void => {
  const { replay } = request
  if (replay === undefined) return
  const refuse = (why: string) => new JoinRefusal('UnableToReplayMessages', why)
  if (!request.private) throw refuse('Replay is not allowed for public channels')
  if (replay === 'invalid') throw refuse('Replay params are not valid')
  if (!rights.broadcast.read) throw unauthorized(name)
  if (!services.parts()?.replay) throw refuse('Realtime was unable to replay messages')
}
