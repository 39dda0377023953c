import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root } from './repository.ts'

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

const source = join(root, 'packages/tidemark/src')
const definition =
  /\.(counter|gauge|histogram)(?:<[^>]*>)?\(\s*'(tidemark_\w+)',\s*(?:'(?:[^'\\]|\\.)*'|`[^`]*`|"[^"]*")(?:,\s*(\[[^\]]*\]|\w+))?/g

/** Every metric that the source defines, as Prometheus shows it, with its labels. */
const definedMetrics = async (): Promise<ReadonlyMap<string, ReadonlySet<string>>> => {
  const metrics = new Map<string, ReadonlySet<string>>()
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  for (const file of files) {
    const text = await readFile(join(source, file), 'utf8')
    for (const [, kind, name = '', given = ''] of text.matchAll(definition)) {
      const labels = given.startsWith('[') ? given : (new RegExp(`const ${given} = (\\[[^\\]]*\\])`).exec(text)?.[1] ?? '')
      const named = new Set(['instance', 'job', ...[...labels.matchAll(/'(\w+)'/g)].map(([, label]) => label!)])
      if (kind !== 'histogram') metrics.set(name, named)
      else
        for (const part of ['_bucket', '_count', '_sum'])
          metrics.set(name + part, part === '_bucket' ? new Set([...named, 'le']) : named)
    }
  }
  return metrics
}

const dashboard = async (): Promise<{ readonly panels: readonly Panel[]; readonly templating: unknown }> =>
  JSON.parse(await readFile(join(root, 'docs/grafana.json'), 'utf8'))

it('R80, R139: the Grafana dashboard names metrics that there are, and labels that they have', async () => {
  const [metrics, { panels, templating }] = [await definedMetrics(), await dashboard()]
  expect(metrics.size).toBeGreaterThan(50)
  const expressions = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })))
  expect(expressions.length).toBeGreaterThan(20)
  const wrong: string[] = []
  for (const { title, expr, legendFormat } of expressions) {
    const names = [...expr.matchAll(/tidemark_\w+/g)].map(([name]) => name)
    if (names.length === 0) wrong.push(`${title}: no metric in ${expr}`)
    const used = [
      ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((label) => label.trim())),
      ...[...expr.matchAll(/[{,](\w+)=~?"/g)].map(([, label]) => label!),
      ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!),
    ]
    for (const name of names) {
      const labels = metrics.get(name)
      if (!labels) wrong.push(`${title}: there is no ${name}`)
      else for (const label of used) if (!labels.has(label)) wrong.push(`${title}: ${name} has no label ${label}`)
    }
  }
  for (const [name] of JSON.stringify(templating).matchAll(/tidemark_\w+/g))
    if (!metrics.has(name)) wrong.push(`there is no ${name}`)
  expect(wrong).toEqual([])
})

it('its panels have numbers of their own, and do not lie upon each other', async () => {
  const { panels } = await dashboard()
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  for (const [at, a] of panels.entries())
    for (const b of panels.slice(at + 1)) {
      const [p, q] = [a.gridPos, b.gridPos]
      const isApart = p.x + p.w <= q.x || q.x + q.w <= p.x || p.y + p.h <= q.y || q.y + q.h <= p.y
      expect(isApart, `${a.title} and ${b.title}`).toBe(true)
    }
})
