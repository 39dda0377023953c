// The five applications under apps/, each with what it is started with here. RE Engine has a database of its own: it and REanna Router both call a
// table `leads`.
import { join } from 'node:path'
import { root } from '../repository.ts'

export interface System {
  /** Its folder under apps/. */
  readonly name: string
  readonly title: string
  readonly about: string
  /** The one that its README names; where that is taken, another. */
  readonly port: number
  /** Beside the project's own. */
  readonly database?: string
  readonly env?: Readonly<Record<string, string>>
}

export const systems: readonly System[] = [
  { name: 'reanna-router', title: 'REanna Router', about: 'days of property visits', port: 8081 },
  { name: 're-engine', title: 'RE Engine', about: 'leads and approvals', port: 8070, database: 're_engine' },
  {
    name: 'supportive-yarn',
    title: 'Supportive Yarn',
    about: 'a yarn in four steps',
    port: 8090,
    // It is filled in less than a minute.
    env: { DATABASE_PROVIDER: 'postgres', CHAT_PER_MINUTE: '300' },
  },
  { name: 'chat', title: 'Chat', about: 'chats and messages', port: 8091 },
  { name: 'agents', title: 'Agents', about: 'programs that do tasks', port: 8009 },
]

export const appFolder = (name: string): string => join(root, 'apps', name)
