import type { ProgressDisplay } from './progress-display.js'
import type { Terminal } from './terminal.js'

/** Lets log lines and a progress display share stderr: lines go above what is drawn over. */
export interface Screen {
  print(text: string): void
  /** Shows the display until `work` is done. */
  during<T>(display: ProgressDisplay, work: () => Promise<T>): Promise<T>
}

export const createScreen = (terminal: Terminal): Screen => {
  let current: ProgressDisplay | undefined
  return {
    print: (text) => {
      if (current) current.print(text)
      else terminal.stderr.write(text)
    },
    during: async (display, work) => {
      current = display
      try {
        return await work()
      } finally {
        current = undefined
        display.stop()
      }
    },
  }
}
