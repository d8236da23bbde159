export type { LocalStore, PipelineMetrics, RunningPipeline } from './pipeline/pipeline-engine.js'
export type { TaskStatus } from './pipeline/pipeline-task.js'
export { type PipelineOptions, runPipeline } from './pipeline/run-pipeline.js'
export { type Service, type ServiceNotices, startService } from './service/service.js'
