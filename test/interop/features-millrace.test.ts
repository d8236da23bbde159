import { featureCases } from './feature-cases.js'
import { millrace } from './targets.js'

featureCases(millrace)
