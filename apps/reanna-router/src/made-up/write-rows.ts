import type Database from 'better-sqlite3'
import type { Row, TourRows } from './make-tour.js'

export const tableNames = ['tours', 'property_visits', 'tasks', 'feedback'] as const
export type TableName = (typeof tableNames)[number]

/** What stands in a file, and what is wrong with it. */
export interface SampleCounts extends Readonly<Record<TableName, number>> {
  readonly flaws: {
    /** Values of route_data that are not JSON. */
    readonly brokenRoutes: number
    /** Feedback without text. */
    readonly nullFeedback: number
    /** Visits of a tour that does not exist, with the tasks and the feedback that hang on them. */
    readonly orphanVisits: number
    readonly orphanTasks: number
    readonly orphanFeedback: number
    /** Feedback of which it is not known whether it was sent. */
    readonly unknownSent: number
  }
}

const insertInto = (database: Database.Database, table: TableName) => {
  const columns = (database.pragma(`table_info(${table})`) as readonly { readonly name: string }[]).map(({ name }) => name)
  const statement = database.prepare(
    `insert into ${table} (${columns.join(', ')}) values (${columns.map((name) => `@${name}`).join(', ')})`,
  )
  return (row: Row) => statement.run(row)
}

const countFlaws = (database: Database.Database): SampleCounts['flaws'] => {
  const count = (sql: string): number => database.prepare(sql).pluck().get() as number
  const orphans = 'select id from property_visits where tour_id not in (select id from tours)'
  const orphanTasks = `select id from tasks where visit_id in (${orphans})`
  return {
    brokenRoutes: count('select count(*) from tours where route_data is not null and not json_valid(route_data)'),
    nullFeedback: count('select count(*) from feedback where raw_feedback is null'),
    orphanVisits: count(`select count(*) from (${orphans})`),
    orphanTasks: count(`select count(*) from (${orphanTasks})`),
    orphanFeedback: count(`select count(*) from feedback where task_id in (${orphanTasks})`),
    unknownSent: count('select count(*) from feedback where sent_to_agent is null'),
  }
}

/** Writes all tours in one transaction, one at a time in memory. */
export const writeRows = (database: Database.Database, tours: Iterable<TourRows>): SampleCounts => {
  const insert = {
    tours: insertInto(database, 'tours'),
    property_visits: insertInto(database, 'property_visits'),
    tasks: insertInto(database, 'tasks'),
    feedback: insertInto(database, 'feedback'),
  }
  const counts = { tours: 0, property_visits: 0, tasks: 0, feedback: 0 }
  const put = (table: TableName, rows: readonly Row[]) => {
    for (const row of rows) insert[table](row)
    counts[table] += rows.length
  }
  database.transaction(() => {
    for (const { tour, visits, tasks, feedback } of tours) {
      put('tours', [tour])
      put('property_visits', visits)
      put('tasks', tasks)
      put('feedback', feedback)
    }
  })()
  return { ...counts, flaws: countFlaws(database) }
}
