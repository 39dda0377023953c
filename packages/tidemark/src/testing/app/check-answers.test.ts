import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { answering } from '../../app/answering.js'
import { createApiNotes } from '../../app/openapi.js'
import { untoldAnswers, watchAnswers } from './check-answers.js'

const article = z.strictObject({ title: z.string(), size: z.int() })

describe('what an application answers', () => {
  it('is held against what it says, where it succeeds; a route that says nothing is named', async () => {
    const app = fastify()
    const notes = createApiNotes({ title: 'Shop', version: '1' })
    notes.note(app)
    notes.serve(app)
    app.get(
      '/good',
      answering(article, { summary: 'As it says.' }, async () => ({ title: 'Salt', size: 1 })),
    )
    // A field too many is not the compiler's to see.
    app.get(
      '/more',
      answering(article, { summary: 'More.' }, async () => ({ title: 'Salt', size: 1, secret: 'x' })),
    )
    app.get(
      '/other',
      // @ts-expect-error: a field of another kind is.
      answering(article, { summary: 'Other.' }, async () => ({ title: 'Salt', size: '1' })),
    )
    app.get(
      '/refused',
      answering(article, { summary: 'Refused.' }, () => Promise.reject(new Error('no'))),
    )
    app.get('/silent', { config: { summary: 'Says nothing.' } }, async () => ({}))
    const answers = watchAnswers(app)
    for (const path of ['/good', '/more', '/other', '/refused', '/silent']) await app.inject(path)
    expect(await untoldAnswers(app)).toEqual(['GET /silent'])
    expect([...answers.answered]).toEqual(['GET /good', 'GET /more', 'GET /other', 'GET /openapi.json'])
    expect(answers.violations).toEqual([
      expect.stringMatching(/^GET \/more: .*secret/),
      expect.stringMatching(/^GET \/other: .*\n.*size/),
    ])
  })
})
