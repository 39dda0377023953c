import type { Client } from './pusher-node.js'

/** A promise of what an event of pusher-js brings along the next time. */
export const heard = <T = unknown>(
  target: { bind(event: string, callback: (data: T) => void): unknown },
  event: string,
): Promise<T> => new Promise((resolve) => target.bind(event, resolve))

export const connected = async (client: Client): Promise<Client> => {
  if (client.connection.state !== 'connected') await heard(client.connection, 'connected')
  return client
}

/** Subscribes, and waits until it is. */
export const subscribed = async (client: Client, channel: string) => {
  const subscription = client.subscribe(channel)
  if (!subscription.subscribed) await heard(subscription, 'pusher:subscription_succeeded')
  return subscription
}
