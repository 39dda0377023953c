import type { Metrics } from '../../observability/observability.js'

export interface TopicMetrics {
  published(): void
  /** From another node. */
  received(): void
  missed(): void
}

export const createTopicMetrics = (metrics: Metrics): TopicMetrics => {
  const messages = metrics.counter('tidemark_realtime_topic_messages_total', 'Broadcast messages, by where they came from.', [
    'from',
  ])
  const gaps = metrics.counter('tidemark_realtime_topic_gaps_total', 'Times that messages of other servers may have been missed.')
  return {
    published: () => messages.increment({ from: 'here' }),
    received: () => messages.increment({ from: 'elsewhere' }),
    missed: () => gaps.increment(),
  }
}
