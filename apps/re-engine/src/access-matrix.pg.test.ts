import { describeAccess } from '../../../packages/tidemark/src/testing/describe-access.js'
import { matrix } from './access-matrix.js'
import { reEngine } from './re-engine.js'

describeAccess(matrix, reEngine)
