import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answering, contextOf, fromRead, fromWrite } from 'tidemark/app'
import { approvalPage, type Decision, decided } from '../answers.js'
import { EngineError } from '../engine-error.js'
import { approvalChange, approvalsQuery, approving, decisions, newApproval, parse, rejecting } from '../input.js'
import {
  approve,
  cancelApproval,
  createApproval,
  editApproval,
  listApprovals,
  reject,
  requestSending,
  requireApproval,
  submitApproval,
  withdrawApproval,
} from '../repository/approvals.js'
import { type Approval, approvalRow, type Db } from '../rows.js'
import { idIn, type RouteContext } from './route-context.js'

export const addApprovalRoutes = (app: FastifyInstance, { database, reads, sender, touches }: RouteContext): void => {
  const write = (request: FastifyRequest, id: string, fn: (db: Db, id: string) => Promise<Approval>) =>
    database.write(request.caller, (db) => fn(db, id), { touches: touches.approval(id), requestId: request.id })

  const change = async (request: FastifyRequest, reply: FastifyReply, fn: (db: Db, id: string) => Promise<Approval>) =>
    fromWrite(reply, await write(request, idIn(request), fn))

  app.post(
    '/approvals',
    answering(approvalRow, { summary: 'A draft.', body: newApproval }, async (request, reply) => {
      const wanted = parse(newApproval, request.body)
      const options = { requestId: request.id }
      const approval = fromWrite(reply, await database.write(request.caller, (db) => createApproval(db, wanted), options))
      reply.status(201).header('location', `/approvals/${approval.id}`)
      return approval
    }),
  )

  app.get(
    '/approvals',
    answering(
      approvalPage,
      { summary: 'Drafts and what became of them, the newest first.', query: approvalsQuery },
      async (request) => {
        const query = parse(approvalsQuery, request.query)
        const { rows: approvals, next } = await database.read(request.caller, (db) => listApprovals(db, query))
        return { approvals, next }
      },
    ),
  )

  app.get(
    '/approvals/:id',
    answering(approvalRow, { summary: 'One of them.' }, async (request, reply) =>
      fromRead(reply, await reads.approval(request.caller, idIn(request), contextOf(request))),
    ),
  )

  app.patch(
    '/approvals/:id',
    answering(
      approvalRow,
      { summary: 'Other words; what was approved is pending again.', body: approvalChange },
      async (request, reply) => {
        const edit = parse(approvalChange, request.body)
        return change(request, reply, (db, id) => editApproval(db, id, edit))
      },
    ),
  )

  for (const [step, summary, fn] of [
    ['submit', 'Asks for approval.', submitApproval],
    ['withdraw', 'Back to its author.', withdrawApproval],
    ['cancel', 'Never mind.', cancelApproval],
  ] as const)
    app.post(
      `/approvals/:id/${step}`,
      answering(approvalRow, { summary }, async (request, reply) => change(request, reply, fn)),
    )

  app.post(
    '/approvals/:id/approve',
    answering(approvalRow, { summary: 'Approves what was read.', body: approving }, async (request, reply) => {
      const { content_hash: hash } = parse(approving, request.body ?? undefined)
      return change(request, reply, (db, id) => approve(db, id, hash))
    }),
  )

  app.post(
    '/approvals/:id/reject',
    answering(approvalRow, { summary: 'Rejects it, with a reason.', body: rejecting }, async (request, reply) => {
      const { reason } = parse(rejecting, request.body)
      return change(request, reply, (db, id) => reject(db, id, reason))
    }),
  )

  // Each stands by itself: what is refused keeps no other from being decided.
  app.post(
    '/approvals/decisions',
    answering(decided, { summary: 'Many at a time, each by itself.', body: decisions }, async (request) => {
      const results: Decision[] = []
      for (const decision of parse(decisions, request.body).decisions) {
        const decide = (db: Db, id: string) =>
          decision.decision === 'approve' ? approve(db, id, decision.content_hash) : reject(db, id, decision.reason)
        try {
          const { result } = await write(request, decision.id, decide)
          results.push({ id: decision.id, status: result.status })
        } catch (error) {
          const { status, code, message } = EngineError.refusalOf(error)
          if (status >= 500) throw error
          results.push({ id: decision.id, error: message, code })
        }
      }
      return { results }
    }),
  )

  // 200 once it is sent, 202 while that is tried.
  app.post(
    '/approvals/:id/send',
    answering(approvalRow, { summary: 'Sends what is approved.' }, async (request, reply) => {
      const id = idIn(request)
      if (!sender) {
        await database.read(request.caller, (db) => requireApproval(db, id))
        throw new EngineError('ENGINE_NOT_CONFIGURED')
      }
      await write(request, id, requestSending)
      await sender.send(id)
      // Tells the place of what came of it as well.
      const approval = fromWrite(reply, await database.write(request.caller, (db) => requireApproval(db, id)))
      reply.status(approval.status === 'sent' ? 200 : 202)
      return approval
    }),
  )
}
