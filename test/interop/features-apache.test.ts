import { featureCases } from './feature-cases.js'
import { apache } from './targets.js'

featureCases(apache)
