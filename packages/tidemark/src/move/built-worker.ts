/** Where the built file of a worker thread is, also when the sources run as they are (in tests), which threads cannot. */
export const builtWorker = (path: string): URL =>
  new URL(path, import.meta.url.replace(/\/src\/move\/built-worker\.ts$/, '/dist/move/built-worker.js'))
