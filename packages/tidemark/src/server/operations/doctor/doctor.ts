import type { Project } from '../../project/project.js'
import {
  checkConfiguration,
  checkDisk,
  checkNode,
  checkPort,
  checkSqlite,
  checkStateFolder,
  checkTools,
} from './doctor-machine.js'
import { checkPostgres } from './doctor-postgres.js'
import { checkRedis } from './doctor-redis.js'
import type { Finding } from './finding.js'

export interface Examination {
  /** No check failed. Warnings do not count. */
  readonly ok: boolean
  /** A check failed because something did not answer. */
  readonly unreachable: boolean
  readonly findings: readonly Finding[]
}

export interface ExamineOptions {
  /** Asked by the running server itself: that its port is taken is no finding. */
  readonly serving: boolean
}

/** Looks at everything that Tidemark needs. Never raises; starts nothing and changes nothing. */
export const examine = async (project: Project, { serving }: ExamineOptions): Promise<Examination> => {
  const groups: readonly (readonly Finding[])[] = await Promise.all([
    checkNode(),
    checkConfiguration(project),
    checkStateFolder(project),
    checkDisk(project),
    checkSqlite(),
    checkTools(),
    serving ? [] : checkPort(project),
    checkPostgres(project),
    checkRedis(project),
  ])
  const findings = groups.flat()
  const failed = findings.filter(({ verdict }) => verdict === 'fail')
  return { ok: failed.length === 0, unreachable: failed.some(({ unreachable }) => unreachable === true), findings }
}
