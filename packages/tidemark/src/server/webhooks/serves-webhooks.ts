import type { TidemarkConfig } from '../../config/config.js'

/** Whether this process takes webhooks at all. */
export const takesWebhooks = ({ webhooks, apps }: TidemarkConfig): boolean => {
  const named = webhooks.providers ?? webhooks.keys ?? {}
  return Object.keys(named).length > 0 || (webhooks.providers === undefined && apps.rolloutClientSecret !== undefined)
}

/** Whether this process has something to do with webhooks: it takes them, or has handlers for what others take. */
export const servesWebhooks = (config: TidemarkConfig): boolean => takesWebhooks(config) || config.webhooks.on !== undefined

/** Paths of webhooks, also while the server stops: whoever is refused may not send again. */
export const isWebhookRoute = (route: string): boolean => route.startsWith('/webhooks/')
