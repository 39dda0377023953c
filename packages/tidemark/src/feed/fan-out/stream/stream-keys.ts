/** The stream of an epoch. */
export const streamKey = (epoch: string): string => `tidemark:feed:${epoch}`

/** Whether a stream's epoch is of the history that positions of `epoch` are of: see `PublishedStream.claim`. */
export const isStreamOf = (stream: string, epoch: string): boolean => stream.startsWith(epoch) && stream[epoch.length] === '-'

/** Who publishes, and the newest entry as the last append left it. On one node of a cluster with its stream, like the beats. */
export const stateKey = (stream: string): string => `{${stream}}:state`

export const beatsKey = (stream: string): string => `{${stream}}:beats`

/** Where the nodes of one feed learn which stream is the present one. */
export const currentKey = (scope: string): string => `tidemark:feed:${scope}:current`
