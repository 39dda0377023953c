import { describeDoors } from '../../../packages/tidemark/src/server/testing/describe-doors.js'
import { describeAccess } from '../../../packages/tidemark/src/testing/app/describe-access.js'
import { matrix } from './access-matrix.js'
import { agents } from './agents.js'

// Agents, tasks and health are told live to whoever may see them.
// @holds R58
describeAccess(matrix, agents)
describeDoors(matrix, agents)
