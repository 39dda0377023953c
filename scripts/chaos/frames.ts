/**
 * A hundred thousand frames of strangers at the sockets of a server, in all that it speaks: `npm run chaos:frames -- --frames 100000 --seed 1`.
 * Malformed, oversized, out of order, noise. Each connection has to answer or to be closed with a code, others are served meanwhile, the server
 * lives, and its memory stays what it was. The exit status is 0 only if all was well.
 */
import { readFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { dialectsOf, type FuzzReport, fuzz } from '../../packages/tidemark/dist/realtime/hub/testing/frame-fuzz.js'
import { RawSocket } from '../../packages/tidemark/dist/realtime/hub/testing/raw-socket.js'
import { runCli } from '../../packages/tidemark/dist/testing/project/cli-call.js'
import { createProjectFolder, startCli, untilServing } from '../../packages/tidemark/dist/testing/project/cli-process.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { count, interruptible, main, parseOptions } from '../options.ts'
import { diceOf } from './random.ts'
import { tell } from './tally.ts'

const usage = `npm run chaos:frames -- [options]
  --frames <n>       (default 100000)
  --connections <n>  at once (default 4)
  --growth <MiB>     by which the memory of the server may grow after the first fifth (default 48)
  --seed <n>         what the dice begin with (default 1)`

const mib = 1024 ** 2

/** Undefined where the system has no /proc. */
const residentBytes = async (pid: number): Promise<number | undefined> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? []
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** What the limits of a connection would end is not what is looked for. */
const env = { PORT: '0', TIDEMARK_REALTIME_EVENTS_PER_SECOND: '1000000', TIDEMARK_REALTIME_JOINS_PER_SECOND: '100000' }

interface Serving {
  readonly port: number
  readonly pid: number
  readonly anonKey: string
  readonly pusherKey: string
  readonly url: string
}

/** Somebody who behaves: its heartbeats are answered all the time. */
const openWitness = async ({ port, anonKey }: Serving) => {
  const socket = await RawSocket.open(port, `/realtime/v1/websocket?apikey=${anonKey}&vsn=2.0.0`)
  const text = (message: unknown) => ({ opcode: 1, payload: Buffer.from(JSON.stringify(message)) })
  let beats = 0
  return {
    beat: async (): Promise<void> => {
      const ref = `w${beats++}`
      socket.texts = []
      socket.send(text([null, ref, 'phoenix', 'heartbeat', {}]))
      await until(() => socket.texts.some((each) => each.includes(ref)), { what: 'The heartbeat of who behaves' })
    },
    leave: () => socket.reset(),
  }
}

const metric = (metrics: string, name: string): number =>
  [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0)

const leftBehind = async ({ url }: Serving): Promise<string | undefined> => {
  const names = ['tidemark_realtime_connections', 'tidemark_realtime_channels_entries', 'tidemark_realtime_buffered_bytes']
  let found: readonly number[] = []
  const isEmpty = async (): Promise<boolean> => {
    const metrics = await (await fetch(`${url}/metrics`)).text()
    found = names.map((name) => metric(metrics, name))
    return found.every((value) => value === 0)
  }
  const isLeft = await until(isEmpty, { timeoutMs: 20_000, intervalMs: 200 }).then(
    () => false,
    () => true,
  )
  return isLeft ? `left behind: ${names.map((name, index) => `${name} ${found[index]}`).join(', ')}` : undefined
}

const summaryOf = ({ sent, opened, answered, closed }: FuzzReport): string => {
  const codes = [...closed].sort(([a], [b]) => a - b).map(([code, times]) => `${code} ${times} times`)
  return `${sent} frames over ${opened} connections, ${answered} times answered, closed with ${codes.join(', ')}`
}

await main(async (signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { frames: option, connections: option, growth: option, seed: option })
  const number = (name: string, preset: number, max: number) => count(name, values[name], { default: preset, min: 1, max })
  const [frames, connections] = [number('frames', 100_000, 100_000_000), number('connections', 4, 100)]
  const [growth, seed] = [number('growth', 48, 10_000) * mib, number('seed', 1, 2 ** 31)]
  const project = await createProjectFolder()
  const server = startCli(['start', '--json'], { cwd: project.dir, env })
  const found: string[] = []
  const sizes: number[] = []
  try {
    const url = await untilServing(server)
    const status = JSON.parse((await runCli(['status', '--json'], { cwd: project.dir })).stdout)
    const serving = {
      url,
      port: Number(new URL(url).port),
      pid: server.child.pid!,
      anonKey: status.keys.anon,
      pusherKey: status.pusher.key,
    }
    const witness = await openWitness(serving)
    const fuzzing = fuzz({
      port: serving.port,
      dialects: dialectsOf(serving),
      dice: diceOf(seed),
      frames,
      connections,
      onProgress: async (sent) => {
        await witness.beat()
        const bytes = await residentBytes(serving.pid)
        if (bytes !== undefined) sizes.push(bytes)
        tell(`${sent} frames, the server has ${Math.round((bytes ?? 0) / mib)} MiB`)
      },
    })
    const report = await interruptible(signal, fuzzing)
    await witness.beat()
    witness.leave()
    found.push(...report.wrong)
    const left = await leftBehind(serving)
    if (left !== undefined) found.push(left)
    if ((await fetch(`${url}/readyz`)).status !== 200) found.push('the server is not ready any more')
    const [before, last] = [Math.max(...sizes.slice(0, Math.ceil(sizes.length / 5))), Math.min(...sizes.slice(-3))]
    if (last - before > growth) found.push(`the server has grown by ${Math.round((last - before) / mib)} MiB`)
    tell(summaryOf(report))
  } catch (error) {
    found.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    if (server.child.exitCode !== null) found.push(`the server ended with ${server.child.exitCode}`)
    server.child.kill('SIGTERM')
    await server.ended
    await project.remove()
  }
  for (const failure of found) console.log(failure)
  const load = `load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} processors`
  console.log(`${found.length === 0 ? 'PASSED' : 'FAILED'}: ${frames} frames, seed ${seed}, ${load}`)
  return found.length === 0
})
