/** The places at which a switch may be cut off, by name, so that a test can end the process exactly there. */

export const killVariable = 'TIDEMARK_TEST_KILL_AT'

/** Ends the process, as `kill -9` does, where the test that started it said so. */
export const crashPoint = (name: string): void => {
  if (process.env[killVariable] !== name) return
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; nothing else may happen before it arrives.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
