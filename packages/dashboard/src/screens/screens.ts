import { lazyRouteComponent, type RouteComponent } from '@tanstack/react-router'
import { Gauge, type LucideIcon, MoveRight } from 'lucide-react'

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
}

/** All screens, in the order of the navigation. A screen is a folder here and a line there; what it needs is loaded when it is opened. */
export const screens: readonly Screen[] = [
  {
    name: 'overview',
    path: '/',
    title: 'Overview',
    group: 'System',
    icon: Gauge,
    key: 'o',
    load: lazyRouteComponent(() => import('./overview/overview-screen.tsx'), 'OverviewScreen'),
  },
  {
    name: 'move',
    path: '/move',
    title: 'Move',
    group: 'System',
    icon: MoveRight,
    key: 'm',
    load: lazyRouteComponent(() => import('./move/move-screen.tsx'), 'MoveScreen'),
  },
]
