import { expect, test } from 'vitest'
import { confirm } from './confirm.js'
import type { Terminal } from './terminal.js'

test('--yes answers, and where nobody can answer the command ends', async () => {
  const nobody = { interactive: false, json: false } as Terminal
  await expect(confirm(nobody, true, 'Replacing x', 'drops it')).resolves.toBeUndefined()
  await expect(confirm(nobody, false, 'Replacing x', 'drops it')).rejects.toMatchObject({
    code: 'TM_CLI_UNCONFIRMED',
    message: 'Replacing x needs a confirmation, and there is no terminal to ask on.',
    exitCode: 2,
  })
  const program = { interactive: true, json: true } as Terminal
  await expect(confirm(program, false, 'Replacing x', 'drops it')).rejects.toMatchObject({ code: 'TM_CLI_UNCONFIRMED' })
})
