/** What people have to hear of. */
import type { Alert } from 'tidemark/app'

export const syncFailed = (tourId: string): Alert => ({ type: 'crm_sync_failed', entityId: tourId, entityType: 'tour' })

export const notificationFailed = (feedbackId: string): Alert => ({
  type: 'notification_failed',
  entityId: feedbackId,
  entityType: 'feedback',
})
