import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const text = readFileSync(new URL('../Dockerfile', import.meta.url), 'utf8')
/** One instruction a line, without comments. */
const instructions = text
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
/** Stages by their names, each with those that it builds on. */
const stages = new Map<string, readonly string[]>()
for (const line of instructions) {
  const [, from, name] = /^FROM (\S+) AS (\S+)$/.exec(line) ?? []
  if (name) stages.set(name, [...(stages.get(from!) ?? [])])
  else {
    const [last] = [...stages.keys()].slice(-1)
    stages.set(last!, [...stages.get(last!)!, line])
  }
}

describe.each([
  ['server', 8080],
  ['webhooks', 8000],
])('C23, R114: the image %s', (name, port) => {
  const stage = stages.get(name) ?? []
  const last = (word: string) => stage.findLast((line) => line.startsWith(`${word} `))

  it('runs as nobody in particular', () => {
    expect(last('USER')).toBe('USER node')
  })

  it('takes the port from its environment, and no shell has to put it in', () => {
    expect(stage.filter((line) => /^(ENTRYPOINT|CMD) /.test(line)).join('\n')).not.toMatch(/--port|\d{4}|\$/)
    expect(last('ENTRYPOINT')).toMatch(/^ENTRYPOINT \[".*"\]$/)
    expect(last('ENV')).toContain(`PORT=${port}`)
  })

  it('has its health looked at, on whatever port it listens', () => {
    expect(last('HEALTHCHECK')).toMatch(/process\.env\.PORT.*\/livez/)
  })
})
