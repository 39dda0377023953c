import { describeDoors } from '../../../packages/tidemark/src/server/testing/describe-doors.js'
import { describeAccess } from '../../../packages/tidemark/src/testing/app/describe-access.js'
import { matrix } from './access-matrix.js'
import { reannaRouter } from './reanna-router.js'

describeAccess(matrix, reannaRouter)
describeDoors(matrix, reannaRouter)
