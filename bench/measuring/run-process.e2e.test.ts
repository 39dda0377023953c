import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findProgram, lastWords, runProcess } from './run-process.ts'

const { signal } = new AbortController()
const mebibyte = 1024 * 1024

describe('a measured process', () => {
  it('gives its output, its exit code and its time', async () => {
    const run = await runProcess(process.execPath, ['-e', 'console.log("out"); console.error("err"); process.exitCode = 3'], {
      signal,
    })
    expect(run).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exitCode: 3 })
    expect(run.wallMs).toBeGreaterThan(1)
    expect(lastWords(run)).toBe('err')
  })

  it.runIf(existsSync('/proc/self/status'))('counts the memory of its children too', async () => {
    // The parent holds its 100 MiB until the child, which holds as much, has ended.
    const child = 'const b = Buffer.alloc(100 * 2 ** 20, 1); setTimeout(() => b.fill(2), 400)'
    const parent = `const b = Buffer.alloc(100 * 2 ** 20, 1)
      require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}]).once("exit", () => b.fill(2))`
    const { memory } = await runProcess(process.execPath, ['-e', parent], { signal })
    expect(memory!.processBytes).toBeGreaterThan(100 * mebibyte)
    expect(memory!.treeBytes).toBeGreaterThan(200 * mebibyte)
    expect(memory!.processBytes).toBeLessThan(200 * mebibyte)
  })

  it('ends with the signal that it was given', async () => {
    const abort = new AbortController()
    const run = runProcess(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(run).rejects.toThrow('enough')
  })

  it('is found on PATH, or not', () => {
    expect(findProgram('sh')).toMatch(/\/sh$/)
    expect(findProgram('no-such-program-here')).toBeUndefined()
  })
})
