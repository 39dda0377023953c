import { Link, useRouter } from '@tanstack/react-router'
import { ArrowRight, BellRing, Database, type LucideIcon, Radio, Server, Webhook, Zap } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Overview } from 'tidemark/admin'
import { counted, duration, percent } from '../../format/format.ts'
import { Status, type StatusKind } from '../../parts/status.tsx'
import './overview.css'

interface Stage {
  readonly title: string
  readonly icon: LucideIcon
  readonly kind: StatusKind
  readonly word: string
  readonly detail: ReactNode
  readonly to?: string
}

const requestStage = ({ requests }: Overview): Stage => {
  const recent = requests.buckets.slice(-4)
  const perSecond = recent.reduce((sum, bucket) => sum + bucket.requests, 0) / ((recent.length * requests.bucketMs) / 1000)
  const errors = recent.reduce((sum, bucket) => sum + bucket.errors, 0)
  return {
    title: 'Requests',
    icon: Server,
    kind: errors > 0 ? 'warn' : 'ok',
    word: `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} per second`,
    detail: errors > 0 ? counted(errors, 'error') : 'no errors',
  }
}

const postgresStage = ({ postgres, health }: Overview): Stage => {
  const up = health.database === 'connected'
  const used = postgres.pools.reduce((sum, { total, idle }) => sum + total - idle, 0)
  const waiting = postgres.pools.reduce((sum, pool) => sum + pool.waiting, 0)
  return {
    title: 'Postgres',
    icon: Database,
    kind: up ? (waiting > 0 ? 'warn' : 'ok') : 'bad',
    word: up ? `up, ${postgres.version}` : 'away',
    detail: waiting > 0 ? `${waiting} waiting` : `${used} of ${postgres.maxConnections} in use`,
  }
}

const feedStage = ({ feed }: Overview): Stage => {
  if (!feed) return { title: 'Feed', icon: Radio, kind: 'idle', word: 'not here', detail: 'another server reads it' }
  const idle = feed.role === 'idle'
  return {
    title: 'Feed',
    icon: Radio,
    kind: feed.problem !== null ? 'bad' : idle ? 'idle' : 'ok',
    word: feed.problem !== null ? 'in trouble' : feed.role,
    detail: feed.problem ?? (feed.freshnessMs === null ? 'nothing to follow yet' : `fresh to ${duration(feed.freshnessMs)}`),
    to: '/feed',
  }
}

const cacheStage = ({ cache, redis }: Overview): Stage => ({
  title: 'Cache',
  icon: Zap,
  kind: cache === null ? 'idle' : cache.staleFound > 0 ? 'bad' : 'ok',
  word: cache === null ? 'none configured' : cache.hitRate === null ? 'no reads yet' : `${percent(cache.hitRate)} hits`,
  detail: `Redis ${redis.state}`,
  to: '/cache',
})

const hooksStage = ({ webhooks }: Overview): Stage => ({
  title: 'Webhooks',
  icon: Webhook,
  kind: webhooks.dead > 0 ? 'warn' : 'ok',
  word: webhooks.waiting === 0 ? 'none waiting' : `${counted(webhooks.waiting, 'event')} waiting`,
  detail: webhooks.dead === 0 ? 'no dead letters' : counted(webhooks.dead, 'dead letter'),
  to: '/webhooks',
})

const alertsStage = ({ alerts }: Overview): Stage => ({
  title: 'Alerts',
  icon: BellRing,
  kind: alerts === null ? 'idle' : alerts.critical > 0 ? 'bad' : alerts.open > 0 ? 'warn' : 'ok',
  word: alerts === null ? 'off' : alerts.open === 0 ? 'none open' : `${alerts.open} open`,
  detail: alerts !== null && alerts.critical > 0 ? `${alerts.critical} critical` : 'nothing critical',
  to: '/alerts',
})

const StageCard = ({ title, icon: Icon, kind, word, detail }: Stage) => (
  <>
    <span className="flow-title">
      <Icon size={15} strokeWidth={1.8} aria-hidden /> {title}
    </span>
    <Status kind={kind}>{word}</Status>
    <span className="dim">{detail}</span>
  </>
)

/** How data flows, each station with its health: the whole system at a glance. */
export const Flow = ({ overview }: { readonly overview: Overview }) => {
  const { routesByPath } = useRouter()
  const stages = [requestStage, postgresStage, feedStage, cacheStage, hooksStage, alertsStage].map((of) => of(overview))
  return (
    <ol className="flow" aria-label="How data flows">
      {stages.map((stage, index) => (
        <li key={stage.title}>
          {index > 0 && index < 4 && <ArrowRight className="flow-arrow" size={14} aria-hidden />}
          {stage.to !== undefined && stage.to in routesByPath ? (
            <Link to={stage.to} className="flow-card">
              <StageCard {...stage} />
            </Link>
          ) : (
            <div className="flow-card">
              <StageCard {...stage} />
            </div>
          )}
        </li>
      ))}
    </ol>
  )
}
