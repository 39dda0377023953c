import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ListReport, ReplayReport } from '../server/operations/hooks.js'
import type { SendReport } from '../server/operations/hooks-send.js'
import { useProject } from '../testing/project/use-project.js'
import { until } from '../time/until.js'
import type { EventDetail } from '../webhooks/replay/stored-events.js'

/** Handlers are in the project's own configuration, as somebody writes them; `good` is told by a file. */
const configuration = `
import { existsSync } from 'node:fs'
export default {
  webhooks: {
    keys: { rollout: [{ key: 'a secret of this test' }] },
    maxRetries: 2,
    retryBaseMs: 10,
    on: {
      'contact.created': async (event) => {
        if (!existsSync('good')) throw new Error('no such contact: ' + event.entity.externalId)
      },
    },
  },
}
`

const project = useProject()

const body = (id: string) => ({ eventId: id, event: 'peopleCreated', resourceIds: [7], eventCreated: '2026-07-02T15:19:21Z' })

test('R67 F17: an event is sent, fails, is found among the dead letters and goes through again', async () => {
  await writeFile(join(project.dir, 'tidemark.config.mjs'), configuration)
  await writeFile(join(project.dir, 'event.json'), JSON.stringify(body('evt-1')))
  await project.serve()

  const sent = await project.run<SendReport>('hooks', 'send', 'rollout', 'event.json')
  expect(sent).toMatchObject({ status: 202, answer: { status: 'accepted' } })
  const forged = await project.json<SendReport>('hooks', 'send', 'rollout', 'event.json', '--header', 'x-rollout-signature: 00')
  expect([forged.exitCode, forged.data.status]).toEqual([1, 401])

  const dead = await until(async () => {
    const { events } = await project.run<ListReport>('hooks', 'dlq', '--reason', 'attempts')
    return events[0]
  })
  expect(dead).toMatchObject({ provider: 'rollout', type: 'contact.created', attempts: 2, entity: 'contact 7' })
  const shown = await project.run<EventDetail>('hooks', 'show', dead.id)
  expect(shown.error).toMatch(/no such contact: 7\n\s+at /)
  expect(JSON.parse(shown.raw)).toEqual(body('evt-1'))
  expect(shown.attemptLog).toMatchObject([
    { attempt: 1, outcome: 'failed', message: 'no such contact: 7', deadReason: null },
    { attempt: 2, outcome: 'failed', message: 'no such contact: 7', deadReason: 'attempts', nextAt: null },
  ])

  const counted = await project.run<ReplayReport>('hooks', 'replay', '--provider', 'rollout', '--dry-run')
  expect(counted).toMatchObject({ dryRun: true, selected: 1 })
  await writeFile(join(project.dir, 'good'), '')
  const replayed = await project.run<ReplayReport>('hooks', 'replay', dead.id, '--wait')
  expect(replayed.replay).toMatchObject({ status: 'done', sent: 1, selected: 1 })
  await until(async () => (await project.run<EventDetail>('hooks', 'show', dead.id)).status === 'processed')

  await writeFile(join(project.dir, 'mended.json'), JSON.stringify({ ...body('evt-1'), resourceIds: [8] }))
  const edited = await project.run<ReplayReport>('hooks', 'replay', dead.id, '--body', 'mended.json', '--wait')
  expect(edited.replay).toMatchObject({ status: 'done', edited: true })
  const mended = await until(async () => {
    const event = await project.run<EventDetail>('hooks', 'show', dead.id)
    return event.status === 'processed' && event.edited ? event : undefined
  })
  expect([mended.entity, JSON.parse(mended.raw)]).toEqual(['contact 8', body('evt-1')])

  const { counts } = await project.run<ListReport>('hooks', 'list', '--since', '1h')
  expect(counts).toEqual([{ status: 'processed', reason: null, events: 1 }])

  const unknown = await project.json<{ readonly error: { readonly code: string } }>('hooks', 'show', 'none')
  expect([unknown.exitCode, unknown.data.error.code]).toEqual([1, 'TM_WEBHOOKS_NOT_FOUND'])

  await project.end()
  const after = await project.run<ListReport>('hooks', 'list')
  expect(after.events).toHaveLength(1)
  const { exitCode } = await project.json('hooks', 'show', '00000000-0000-4000-8000-000000000000')
  expect(exitCode).toBe(1)
})

test('what is asked for has to be said', async () => {
  expect((await project.json('hooks', 'replay')).exitCode).toBe(2)
  expect((await project.json('hooks', 'replay', '--all', '--body', 'none.json')).exitCode).toBe(2)
  expect((await project.json('hooks', 'list', '--since', 'soon')).exitCode).toBe(2)
})
