import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest'
import type { FeedConformanceOptions, MakeSource } from '../feed/feed-conformance.js'
import { defineContent } from './content.js'
import { defineOrder } from './order.js'
import { defineRestart } from './restart.js'
import { createStage, type Scene } from './scene.js'

/** See `feedConformance`. */
export const defineFeedConformance = (
  name: string,
  makeSource: MakeSource,
  { order = 'commit', cleanUp = async () => undefined }: FeedConformanceOptions,
): void => {
  describe(name, () => {
    const stage = createStage(makeSource, cleanUp)
    let scene: Scene
    beforeAll(() => stage.start())
    afterAll(() => stage.stop())
    beforeEach(async () => {
      scene = await stage.open()
    })
    afterEach(() => stage.close())
    const current = () => scene
    defineContent(current)
    defineOrder(current, order)
    defineRestart(current)
  })
}
