/** What an application is written with: its errors, its HTTP server, its settings and its parts as data. docs/apps.md shows how. */
export { type Alert, raiseAlert, resolveAlert, tellOfServices } from './alerting.js'
export { contextOf, fromRead, fromWrite, type Read, type ReadContext, readOf, type WrittenAt } from './answer.js'
export { type AnsweringRoute, answering, type Told } from './answering.js'
export { type Authenticate, createBearer, smallestSecretBytes } from './bearer.js'
export {
  type CallerDatabase,
  type CallerDatabaseOptions,
  type CallerWriteOptions,
  createCallerDatabase,
  type DatabaseCaller,
} from './caller-database.js'
export { type AppServerOptions, createAppServer, type HealthDetails } from './create-app-server.js'
export {
  type AppError,
  type AppErrorOptions,
  type AppErrors,
  type AppErrorTable,
  defineErrors,
  type Refusal,
  type Refusals,
} from './define-errors.js'
export {
  type CachePlaces,
  cachePlaces,
  type DatabaseSettings,
  databaseVariables,
  readEnvironment,
  variables,
} from './environment.js'
export { type FailedCall, type FailedCallOptions, failedCall, wordsOfFailure } from './failed-call.js'
export { type Failure, logFailedJobs, logFailures } from './failures.js'
export { CallError, createHttpService, type HttpCall, type HttpService, type HttpServiceOptions } from './http-service.js'
export { createInput, type Input, type Page, type Place, pageOf, placeOf, placeSql } from './input.js'
export { type OnStop, openParts } from './open-parts.js'
export { type ApiInfo, type ApiNotes, createApiNotes } from './openapi.js'
export { type RunAppOptions, type RunningApp, runApp } from './run-app.js'
export { createSchedule, type Schedule, type ScheduledJob } from './schedule.js'
export { createStatements, runStatement, type TableOf } from './statements.js'
export { isStorable } from './storable.js'
export { claimsAdmin, type SubjectCaller, subjectCallerOf } from './subject-caller.js'
export { createWorkUnderWay, type WorkUnderWay } from './work-under-way.js'
