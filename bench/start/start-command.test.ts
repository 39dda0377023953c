import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../../scripts/repository.ts'
import { parseStartScript, readStartCommand } from './start-command.ts'

describe('the command behind npm start', () => {
  it('runs in another folder', () => {
    expect(parseStartScript('node bin/x.js dev --sample data/a.db --quiet').args).toEqual([
      join(root, 'bin/x.js'),
      'dev',
      '--sample',
      join(root, 'data/a.db'),
      '--quiet',
    ])
    expect(parseStartScript('node bin/x.js dev -- jiti y.ts')).toMatchObject({ text: 'node bin/x.js dev', args: { length: 2 } })
    expect(readStartCommand().args).not.toContain('--')
    expect(readStartCommand().args[0]).toBe(join(root, 'packages/tidemark/bin/tidemark.js'))
  })

  it('is refused where a shell would be needed', () => {
    for (const script of ['npm run build && node x.js', 'node x.js > log', 'tsx x.ts', 'node']) {
      expect(() => parseStartScript(script)).toThrow('not a plain call of node')
    }
  })
})
