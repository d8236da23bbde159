export {
  PipelineDriver,
  type TestPipelineOptions,
  type TestRecord,
  type TestSendOptions,
  type TestStore,
  testPipeline,
} from '@millrace/core/testkit'
