import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../../alerts/open-alerts.js'
import { validate } from '../http/validate.js'
import * as operation from '../operations/alerts.js'

export interface AlertsRoutesOptions {
  /** Undefined while the server starts, and where it has none. */
  alerts(): Alerts | undefined
}

/** /alerts, and what operators say of them. */
export const addAlertsRoutes = (app: FastifyInstance, options: AlertsRoutesOptions): void => {
  const alerts = (): Alerts => operation.needAlerts(options.alerts())
  app.get('/alerts', async (request) => operation.alertsList(alerts(), validate(operation.listRequest, request.query)))
  app.get('/alerts/rules', async () => operation.alertsRules(alerts()))
  app.post('/alerts/ack', async (request) => operation.alertsAck(alerts(), validate(operation.wordRequest, request.body)))
  app.post('/alerts/resolve', async (request) => operation.alertsResolve(alerts(), validate(operation.wordRequest, request.body)))
  app.post('/alerts/silence', async (request) =>
    operation.alertsSilence(alerts(), validate(operation.silenceRequest, request.body)),
  )
  app.post('/alerts/unsilence', async (request) =>
    operation.alertsUnsilence(alerts(), validate(operation.wordRequest, request.body)),
  )
  app.post('/alerts/test', async (request) => operation.alertsTest(alerts(), validate(operation.testRequest, request.body)))
}
