export { type Clock, systemClock } from '../time/clock.js'
export { type UntilOptions, until } from '../time/until.js'
export {
  type Access,
  type AccessCase,
  type AccessDeclaration,
  type AccessMatrix,
  type AccessSession,
  accessMatrix,
  type Caller,
  type Operation,
  type RowOf,
  type TableAccess,
  type Values,
} from './access-matrix/access-matrix.js'
export { people } from './access-matrix/people.js'
export { type FileCommand, type FileCommandValues, isStarted, runFileCommand, wholeNumber } from './app/file-command.js'
export { type FillCommand, type FillOptions, runFillCommand } from './app/fill-command.js'
export { createFakeClock, type FakeClock } from './fake-clock.js'
export { createRandom, type Random } from './random.js'
export { type ConformanceCase, redisConformance } from './redis/redis-conformance.js'
export { startTestRedis, type TestRedis, type TestRedisOptions } from './redis/redis-server.js'
export { startUpstashFacade, type UpstashFacade, type UpstashFacadeOptions } from './redis/upstash-facade.js'
