import { describeDoors } from '../../../packages/tidemark/src/server/testing/describe-doors.js'
import { describeAccess } from '../../../packages/tidemark/src/testing/app/describe-access.js'
import { matrix } from './access-matrix.js'
import { reEngine } from './re-engine.js'

// Leads, approvals and what happened are told live to whoever may see them.
// @holds R58
describeAccess(matrix, reEngine)
describeDoors(matrix, reEngine)
