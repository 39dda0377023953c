// What others run from: read as they read it, as far as that goes without them.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, it, test } from 'vitest'
import { createProgram } from '../packages/tidemark/dist/cli/program.js'
import { configNotices, poolDemand, resolveConfig } from '../packages/tidemark/dist/config/config.js'
import { isTransactionPooler } from '../packages/tidemark/dist/postgres/driver/pooler.js'
import { resolveRoles } from '../packages/tidemark/dist/server/roles.js'
import { root } from './repository.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** With continued lines joined, and without comments. */
const instructionsOf = (dockerfile: string): readonly Instruction[] =>
  dockerfile
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .flatMap((line) => {
      const [, name, text] = /^([A-Z]+) +(.+)$/.exec(line) ?? []
      return name === undefined || text === undefined ? [] : [{ name, text }]
    })

interface Stage {
  readonly from: string
  readonly name: string
  readonly own: readonly Instruction[]
}

const stagesOf = (instructions: readonly Instruction[]): readonly Stage[] => {
  const stages: (Omit<Stage, 'own'> & { own: Instruction[] })[] = []
  for (const instruction of instructions) {
    const [, from, name] = /^(\S+) AS (\S+)$/.exec(instruction.name === 'FROM' ? instruction.text : '') ?? []
    if (from !== undefined && name !== undefined) stages.push({ from, name, own: [] })
    else stages.at(-1)!.own.push(instruction)
  }
  return stages
}

describe('the Dockerfile', () => {
  const stages = stagesOf(instructionsOf(read('Dockerfile')))
  const stage = (name: string): Stage => stages.find((each) => each.name === name)!
  /** What counts in a stage, the latest last. */
  const whole = (name: string): readonly Instruction[] => {
    const found = stages.find((each) => each.name === name)
    return found === undefined ? [] : [...whole(found.from), ...found.own]
  }
  const last = (target: string, name: string): string | undefined =>
    whole(target).findLast((instruction) => instruction.name === name)?.text

  test('R114: has the targets server and webhooks, with the documented ports', () => {
    expect(stages.at(-1)!.name).toBe('server')
    const portOf = (target: string) =>
      whole(target)
        .findLast(({ text }) => /\bPORT=\d+/.test(text))!
        .text.match(/\bPORT=(\d+)/)![1]
    for (const [target, port] of [
      ['server', '8080'],
      ['webhooks', '8000'],
    ] as const) {
      expect([portOf(target), last(target, 'EXPOSE')]).toEqual([port, port])
    }
    const [flag, roles] = JSON.parse(last('webhooks', 'CMD')!) as string[]
    expect(flag).toBe('--roles')
    expect([...resolveRoles(roles!.split(','))]).toEqual(['webhooks'])
    expect(last('server', 'CMD')).toBeUndefined()
  })

  test('C23, R114: runs as an ordinary user, hears signals itself, and is asked whether it lives, on whatever port it has', () => {
    for (const target of ['server', 'webhooks']) {
      const order = whole(target).map(({ name }) => name)
      expect(last(target, 'USER')).toBe('node')
      expect(order.lastIndexOf('USER')).toBeGreaterThan(order.lastIndexOf('RUN'))
      const [program, file, command, ...more] = JSON.parse(last(target, 'ENTRYPOINT')!) as string[]
      expect([program, command, more]).toEqual(['node', 'start', []])
      expect(existsSync(join(root, file!))).toBe(true)
      // The port is the environment's.
      expect(last(target, 'CMD') ?? '').not.toMatch(/--port|\d{4}|\$/)
      expect(last(target, 'STOPSIGNAL')).toBe('SIGTERM')
      expect(last(target, 'HEALTHCHECK')).toMatch(/CMD \["node".*process\.env\.PORT.*\/livez/)
    }
  })

  it('takes only what is there from the stage that builds, and no secret', () => {
    for (const { text } of stage('base').own.filter(({ name }) => name === 'COPY')) {
      const [, from, to] = /--from=build .*\/app\/(\S+) (\S+)$/.exec(text)!
      expect(from).toBe(to)
      expect(existsSync(join(root, from!))).toBe(true)
    }
    expect(stages.flatMap(({ own }) => own).filter(({ text }) => /SECRET|TOKEN|PASSWORD|_KEY/.test(text))).toEqual([])
    expect(read('.dockerignore').split('\n')).toEqual(
      expect.arrayContaining(['.git', '**/node_modules', '**/.tidemark', '.env', '.env.*']),
    )
  })
})

/** What the command line would make of it. */
const parseStart = async (args: readonly string[]): Promise<unknown> => {
  let flags: unknown
  const io = { stdout: process.stdout, stderr: process.stderr } as unknown as Parameters<typeof createProgram>[0]
  const program = createProgram(io, async (given) => {
    flags = given
  })
  await program.parseAsync([...args], { from: 'user' })
  return flags
}

describe.each(['server', 'webhooks'])('railway: %s', (service) => {
  const file = JSON.parse(read(`deploy/railway/${service}.json`)) as {
    build: Record<string, string>
    deploy: Record<string, string | number>
  }

  test('R115: is built by the Dockerfile, asked at /livez, and restarted ten times when it fails', () => {
    expect(file.build).toEqual({ builder: 'DOCKERFILE', dockerfilePath: 'Dockerfile' })
    expect(file.deploy).toMatchObject({
      healthcheckPath: '/livez',
      restartPolicyType: 'ON_FAILURE',
      restartPolicyMaxRetries: 10,
    })
    const { server } = resolveConfig({ cwd: root, env: {} })
    expect(Number(file.deploy['drainingSeconds']) * 1000).toBeGreaterThan(server.drainTimeoutMs)
  })

  test('R115: starts by a command that takes $PORT, gives way to the server, and is one of ours', async () => {
    const command = /^\/bin\/sh -c "exec node (\S+) (.*)"$/.exec(String(file.deploy['startCommand']))!
    expect(existsSync(join(root, command[1]!))).toBe(true)
    expect(command[2]).toContain('--port $PORT')
    const args = command[2]!.replace('$PORT', '8123').split(' ')
    expect(await parseStart(args)).toMatchObject({
      port: '8123',
      host: '0.0.0.0',
      ...(service === 'webhooks' && { roles: 'webhooks' }),
    })
  })
})

describe('docker-compose.yml', () => {
  const text = read('docker-compose.yml')
  const known = read('docs/configuration.md')

  test('R116: has a Postgres whose log can be read, a Redis that keeps, two nodes and the intake behind a proxy', () => {
    for (const line of [
      '- wal_level=logical',
      '- max_slot_wal_keep_size=4GB',
      '"--appendonly", "yes"',
      '"--maxmemory-policy", "noeviction"',
      '  node-a:',
      '  node-b:',
      'target: webhooks',
      './deploy/haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro',
    ])
      expect(text).toContain(line)
    expect(text).not.toContain('\t')
    const proxy = read('deploy/haproxy.cfg')
    for (const server of ['node-a:8080', 'node-b:8080', 'webhooks:8000']) expect(proxy).toMatch(new RegExp(` ${server} check`))
    // Longer than two looks of the proxy.
    const [, everySeconds] = /inter (\d+)s fall 1/.exec(proxy)!
    const [, leaveSeconds] = /TIDEMARK_LEAVE: (\d+)s/.exec(text)!
    expect(Number(leaveSeconds)).toBeGreaterThan(2 * Number(everySeconds))
  })

  it('has a Postgres that bears all connections that its nodes may open', () => {
    const [primary] = poolDemand(resolveConfig({ cwd: root, env: { DATABASE_URL: 'postgres://postgres@postgres/postgres' } }))
    const [, most] = /max_connections=(\d+)/.exec(text)!
    expect(Number(most)).toBeGreaterThan(3 * primary!.connections)
    for (const page of ['deploy', 'scaling'])
      expect(read(`docs/${page}.md`)).toContain(`${primary!.connections} with the defaults`)
  })

  it('sets variables that there are, asks for secrets that have no default, and is open to this machine alone', () => {
    const variables = [...text.matchAll(/^ {4}([A-Z_]+):/gm)].map(([, name]) => name)
    expect(variables.length).toBeGreaterThan(5)
    for (const name of variables) expect(known).toContain(`\`${name}\``)
    for (const name of ['SUPABASE_JWT_SECRET', 'TIDEMARK_ADMIN_TOKEN'])
      expect(text).toMatch(new RegExp(`${name}: \\$\\{${name}:\\?`))
    expect(text.match(/^ {6}- .*:8080$/gm)).toEqual(['      - 127.0.0.1:8080:8080'])
  })
})

describe.each(['supabase-upstash', 'neon-upstash', 'postgres-redis'])('the environment %s', (name) => {
  const path = `deploy/environments/${name}.env`
  const env = parseEnv(read(path)) as Record<string, string>
  const config = resolveConfig({ cwd: root, env })

  test('R118: is taken as it is, with the flag off', () => {
    expect(config.database.provider).toBe('sqlite')
    expect(configNotices(config, {})).toEqual([])
    const known = read('docs/configuration.md')
    for (const variable of Object.keys(env)) expect(known).toContain(`\`${variable}\``)
  })

  it('leads sessions past the pooler, speaks TLS with both, and keeps nothing that is secret', () => {
    const { postgres, redis } = config
    expect(isTransactionPooler(postgres.directUrl ?? postgres.url!)).toBe(false)
    expect(isTransactionPooler(postgres.url!)).toBe(name !== 'postgres-redis')
    for (const url of [postgres.url!, postgres.directUrl ?? postgres.url!])
      expect(new URL(url).searchParams.get('sslmode')).toMatch(/^(?:require|verify-full)$/)
    expect(redis.url).toMatch(/^rediss:/)
    for (const [variable, value] of Object.entries(env))
      if (/SECRET|TOKEN|KEY$|PASS/.test(variable)) expect(value).toMatch(/^change-?me/)
  })
})

describe('the pages', () => {
  test('R116: every place of the layout that docs/deploy.md names is there', () => {
    const links = [...read('docs/deploy.md').matchAll(/\]\((\.\.\/[^)#]+)/g)].map(([, path]) =>
      join(dirname('docs/deploy.md'), path!),
    )
    expect(links.length).toBeGreaterThan(8)
    for (const path of links) expect(existsSync(join(root, path)), path).toBe(true)
  })

  test('R119: the pipeline tests a fresh clone, and fails with it', () => {
    const pipeline = read('.ci/run')
    for (const part of ['git clone', 'npm ci && npm test', 'exit "$status"']) expect(pipeline).toContain(part)
  })
})
