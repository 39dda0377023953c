import { showsDashboard } from '../../server/dashboard/dashboard-routes.js'
import { hideSecrets } from '../../server/operations/status.js'
import { showsLivePage } from '../../server/realtime/live-page.js'
import type { TidemarkServer } from '../../server/server.js'
import { formatDuration } from '../../time/durations.js'
import type { CommandContext, Run } from '../context.js'
import { createScreen } from '../terminal/screen.js'
import type { Colors } from '../terminal/terminal.js'
import { statusText } from '../text/status-text.js'
import { type MovedSample, moveSample } from './sample.js'

interface DevFlags {
  readonly sample?: string
  readonly showKeys?: boolean
}

interface Pages {
  readonly live: string | undefined
  readonly dashboard: string | undefined
}

const nextSteps = (sample: MovedSample | undefined, { live, dashboard }: Pages, { bold, dim }: Colors): readonly string[] => {
  const query = sample ? `npx tidemark db psql --command 'select count(*) from ${sample.exampleTable}'` : 'npx tidemark db psql'
  return [
    ...(sample ? [`  ${bold('Sample'.padEnd(11))}  ${sample.sentence}`, ''] : []),
    `  ${bold('Try'.padEnd(11))}  ${query}`,
    ...(dashboard === undefined
      ? []
      : [
          `  ${bold('Dashboard'.padEnd(11))}  ${dashboard} · \`npx tidemark status --show-keys\` shows the admin token to sign in with`,
        ]),
    ...(live === undefined ? [] : [`  ${bold('Live'.padEnd(11))}  ${live} shows changes as they come`]),
    `  ${bold('Your file'.padEnd(11))}  npx tidemark move app.db`,
    dim('  Ctrl-C stops the server and its Postgres.'),
  ]
}

const banner = async (
  context: CommandContext,
  server: TidemarkServer,
  sample: MovedSample | undefined,
  showKeys: boolean,
): Promise<void> => {
  const status = await server.status()
  const shown = showKeys ? status : hideSecrets(status)
  const config = await context.config()
  const pages: Pages = {
    live: showsLivePage(config) ? `${status.url}/live` : undefined,
    dashboard: showsDashboard(config) ? `${status.url}/` : undefined,
  }
  const ready = `Tidemark ${status.version} is ready`
  context.terminal.result(context.terminal.json ? { ...status, sample: sample ?? null } : status, (colors) =>
    [
      '',
      `${colors.bold(ready)} ${colors.dim(`(${formatDuration(performance.now())})`)}`,
      '',
      statusText(shown, colors),
      '',
      ...nextSteps(sample, pages, colors),
    ].join('\n'),
  )
}

/** A server for trying things out: everything embedded, a sample to look at, a word on what to do next, and beside it a command of yours. */
export const dev: Run<DevFlags> = async (context, operands, { sample, showKeys = false }) => {
  const { terminal, interrupt } = context
  const { defaultLogger } = await import('../../server/logger.js')
  const screen = createScreen(terminal)
  const config = await context.config()
  const log = defaultLogger(config, {
    pretty: config.log.pretty ?? true,
    colours: terminal.colors.isColorSupported,
    destination: { write: (line: string) => screen.print(line) },
  })
  const { serve } = await import('./serve.js')
  return serve(context, log, async (server) => {
    for (const notice of server.notices) terminal.note(`${terminal.colors.yellow('!')} ${notice}`)
    const moved = sample === undefined ? undefined : await moveSample(context, screen, server.project(), sample)
    if (interrupt.signal.aborted) return undefined
    await banner(context, server, moved, showKeys)
    const command = operands.filter((word) => word !== undefined)
    if (command.length === 0) return undefined
    const { runBeside } = await import('../programs/run-beside.js')
    return runBeside(context, command, await server.environment())
  })
}
