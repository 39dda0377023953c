import { lazyRouteComponent, type RouteComponent } from '@tanstack/react-router'
import {
  Activity,
  BellRing,
  Blocks,
  Gauge,
  type LucideIcon,
  MoveRight,
  Radio,
  Settings,
  ShieldHalf,
  Table2,
  Timer,
  Webhook,
  Zap,
} from 'lucide-react'

/** A part of a screen that has an address of its own. */
export interface Place {
  readonly title: string
  readonly search: Readonly<Record<string, string>>
}

export interface Screen {
  /** Of its folder here. */
  readonly name: string
  readonly path: string
  readonly title: string
  readonly group: 'System' | 'Data' | 'Operations'
  readonly icon: LucideIcon
  /** After `g`. */
  readonly key: string
  readonly load: RouteComponent
  /** What the command palette goes to besides. */
  readonly places?: readonly Place[]
}

const placesOf = (filter: string, titles: Readonly<Record<string, string>>): readonly Place[] =>
  Object.entries(titles).map(([value, title]) => ({ title, search: { [filter]: value } }))

/** All screens, in the order of the navigation. A screen is a folder here and a line there; what it needs is loaded when it is opened. */
// biome-ignore format: a line for each.
export const screens: readonly Screen[] = [
  { name: 'overview', path: '/', title: 'Overview', group: 'System', icon: Gauge, key: 'o', load: lazyRouteComponent(() => import('./overview/overview-screen.tsx'), 'OverviewScreen') },
  { name: 'move', path: '/move', title: 'Move', group: 'System', icon: MoveRight, key: 'm', load: lazyRouteComponent(() => import('./move/move-screen.tsx'), 'MoveScreen') },
  { name: 'systems', path: '/systems', title: 'Systems', group: 'System', icon: Blocks, key: 's', load: lazyRouteComponent(() => import('./systems/systems-screen.tsx'), 'SystemsScreen'), places: placesOf('system', { tours: 'Tours', leads: 'Leads and approvals', yarn: 'Yarns', chat: 'Chats', agents: 'Agents' }) },
  { name: 'feed', path: '/feed', title: 'Feed', group: 'Data', icon: Radio, key: 'f', load: lazyRouteComponent(() => import('./feed/feed-screen.tsx'), 'FeedScreen') },
  { name: 'cache', path: '/cache', title: 'Cache', group: 'Data', icon: Zap, key: 'c', load: lazyRouteComponent(() => import('./cache/cache-screen.tsx'), 'CacheScreen') },
  { name: 'data', path: '/data', title: 'Data and schema', group: 'Data', icon: Table2, key: 'd', load: lazyRouteComponent(() => import('./data/data-screen.tsx'), 'DataScreen'), places: placesOf('tab', { tables: 'Tables and rows', migrations: 'Migrations', drift: 'Drift', exposure: 'Exposure' }) },
  { name: 'queries', path: '/queries', title: 'Queries', group: 'Data', icon: Timer, key: 'q', load: lazyRouteComponent(() => import('./queries/queries-screen.tsx'), 'QueriesScreen'), places: placesOf('tab', { sessions: 'Sessions', statements: 'Statements', locks: 'Locks', pools: 'Pools', explain: 'Explain' }) },
  { name: 'realtime', path: '/realtime', title: 'Realtime', group: 'Data', icon: Activity, key: 'r', load: lazyRouteComponent(() => import('./realtime/realtime-screen.tsx'), 'RealtimeScreen') },
  { name: 'webhooks', path: '/webhooks', title: 'Webhooks', group: 'Operations', icon: Webhook, key: 'w', load: lazyRouteComponent(() => import('./webhooks/webhooks-screen.tsx'), 'WebhooksScreen'), places: placesOf('status', { dead: 'Dead letters' }) },
  { name: 'alerts', path: '/alerts', title: 'Alerts', group: 'Operations', icon: BellRing, key: 'a', load: lazyRouteComponent(() => import('./alerts/alerts-screen.tsx'), 'AlertsScreen'), places: placesOf('tab', { silences: 'Silences', rules: 'Rules', channels: 'Channels' }) },
  { name: 'resilience', path: '/resilience', title: 'Resilience', group: 'Operations', icon: ShieldHalf, key: 'b', load: lazyRouteComponent(() => import('./resilience/resilience-screen.tsx'), 'ResilienceScreen') },
  { name: 'settings', path: '/settings', title: 'Settings', group: 'Operations', icon: Settings, key: 'e', load: lazyRouteComponent(() => import('./settings/settings-screen.tsx'), 'SettingsScreen'), places: placesOf('tab', { configuration: 'Configuration', keys: 'Keys', audit: 'Audit log' }) },
]
