import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(`packages/tidemark/src/${path}`, import.meta.url))
const client = (path: string) => fileURLToPath(new URL(`packages/client/src/${path}`, import.meta.url))
const alias = [
  { find: /^@tidemark\/client$/, replacement: client('index.ts') },
  { find: /^@tidemark\/client\/react$/, replacement: client('react/index.ts') },
  { find: /^tidemark$/, replacement: source('index.ts') },
  { find: /^tidemark\/app$/, replacement: source('app/app.ts') },
  { find: /^tidemark\/store$/, replacement: source('store/store.ts') },
  { find: /^tidemark\/breaker$/, replacement: source('resilience/breaker.ts') },
  { find: /^tidemark\/limiter$/, replacement: source('resilience/limiter.ts') },
  { find: /^tidemark\/log$/, replacement: source('observability/log.ts') },
  { find: /^tidemark\/testing$/, replacement: source('testing/testing.ts') },
]

const project = (name: string, include: string[], extra: object = {}) => ({
  resolve: { alias },
  test: {
    name,
    include,
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // As long as `until` waits: a second is nothing on a machine that is busy.
    expect: { poll: { timeout: 20_000 } },
    // Files share a process, so that each does not load everything anew: that would be half of the work.
    isolate: false,
    // SQLite asks for it once in a process, which may be before the first file that needs it.
    env: { SQLITE_USE_URI: '1' },
    ...extra,
  },
})

// Of what runs beside real servers on a busy machine. Where a test is written it has one try; what needed another is named at the end of a run.
const retry = process.env['CI'] ? 1 : 0

// Promises in seconds, which say nothing of a machine that is busy with other tests: these come when all others have ended.
const alone = [
  'packages/tidemark/src/feed/fan-out/feed-nodes.e2e.test.ts',
  'packages/tidemark/src/server/realtime/live-page.e2e.test.ts',
  'packages/tidemark/src/server/resilience/resilience-processes.e2e.test.ts',
]

const roots = '{packages,apps,scripts,bench}/**'

export default defineConfig({
  test: {
    projects: [
      project('unit', [`${roots}/*.test.{ts,tsx}`], {
        exclude: ['**/node_modules/**', '**/dist/**', '**/*.{pg,redis,e2e}.test.ts'],
      }),
      project('postgres', [`${roots}/*.pg.test.ts`], { globalSetup: [source('testing/postgres/postgres-setup.ts')], retry }),
      project('redis', [`${roots}/*.redis.test.ts`], { globalSetup: [source('testing/redis/redis-setup.ts')], retry }),
      project('e2e', [`${roots}/*.e2e.test.ts`], {
        globalSetup: [source('testing/project/project-setup.ts')],
        exclude: ['**/node_modules/**', '**/dist/**', ...alone],
        testTimeout: 180_000,
        retry,
      }),
      project('alone', alone, {
        globalSetup: [source('testing/project/project-setup.ts')],
        testTimeout: 180_000,
        retry,
        sequence: { groupOrder: 1 },
      }),
    ],
    // Two more than the smallest machine has processors: much of a test is waiting for a server or a child.
    maxWorkers: 4,
    coverage: {
      provider: 'v8',
      include: ['{packages,apps}/*/src/**/*.{ts,tsx}'],
      exclude: ['**/*.test.{ts,tsx}', '**/testing/**'],
      reporter: ['text-summary', 'json-summary'],
      // A test that fails says nothing of what the others cover.
      reportOnFailure: true,
    },
  },
})
