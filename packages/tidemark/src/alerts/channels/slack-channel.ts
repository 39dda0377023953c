import type { AlertSeverity, Channel, NoticeItem } from '../alerts.js'
import { rankOf } from '../alerts.js'
import type { AddressRules } from './address-guard.js'
import { guardedPost, type Lookup } from './guarded-post.js'
import { itemText } from './notice-json.js'

export interface SlackChannelOptions {
  readonly name: string
  /** Of an incoming webhook. It is a secret. */
  readonly url: URL
  readonly rules: AddressRules
  readonly lookup?: Lookup
}

const mostLines = 20
const mostCharacters = 600

/** What Slack reads as markup is text. */
const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')

const colours: Readonly<Record<AlertSeverity, string>> = {
  info: '#439fe0',
  warning: '#daa038',
  error: '#d9534f',
  critical: '#a30200',
}

const colourOf = (items: readonly NoticeItem[]): string => {
  const open = items.flatMap(({ alert }) => (alert && alert.status !== 'resolved' ? [alert.severity] : []))
  const [gravest] = open.sort((one, other) => rankOf(other) - rankOf(one))
  return gravest ? colours[gravest] : '#2eb886'
}

/** What Slack, Mattermost, Rocket.Chat and Discord (`/slack`) take alike. */
export const slackMessage = (items: readonly NoticeItem[]) => {
  const lines = items.slice(0, mostLines).map((item) => escaped(itemText(item).slice(0, mostCharacters)))
  const more = items.length > mostLines ? [`and ${items.length - mostLines} more`] : []
  const text = [...lines, ...more].join('\n')
  return { text: lines[0] ?? '', attachments: [{ color: colourOf(items), text, fallback: text }] }
}

/** A message in a chat. */
export const createSlackChannel = ({ name, url, rules, lookup }: SlackChannelOptions): Channel => ({
  name,
  send: async ({ items, idempotencyKey }, signal) => {
    const body = JSON.stringify(slackMessage(items))
    const headers = { 'idempotency-key': idempotencyKey }
    await guardedPost({ channel: name, url, rules, body, headers, signal, ...(lookup && { lookup }) })
    return {}
  },
})
