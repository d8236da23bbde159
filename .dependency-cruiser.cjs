/** Arrows between packages and the outside: see ARCHITECTURE.md "Packages". Looks at what was built. */
const inPackage = name => `^packages/${name}/dist`

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: { path: '^packages/[^/]+/dist' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-knows-nobody',
      severity: 'error',
      from: { path: inPackage('core') },
      to: { path: '^packages/(?!core/)' },
    },
    {
      name: 'storage-knows-core',
      severity: 'error',
      from: { path: inPackage('storage') },
      to: { path: '^packages/(?!core/|storage/)' },
    },
    {
      name: 'client-knows-core',
      severity: 'error',
      from: { path: inPackage('client') },
      to: { path: '^packages/(?!core/|client/)' },
    },
    {
      name: 'runtime-knows-not-millrace',
      severity: 'error',
      from: { path: inPackage('runtime') },
      to: { path: '^packages/millrace/' },
    },
    {
      name: 'actors-know-no-streams-and-no-protocol',
      severity: 'error',
      from: { path: '^packages/core/dist/actor' },
      to: { path: '^packages/core/dist/(stream|protocol)' },
    },
    {
      name: 'ports-import-ports',
      severity: 'error',
      from: { path: '^packages/core/dist/ports' },
      to: { pathNot: '^packages/core/dist/ports', dependencyTypesNot: ['core'] },
    },
    {
      name: 'outside-only-in-node-adapters',
      comment: 'Time, files and sockets come through ports, so that the simulator can take their place.',
      severity: 'error',
      from: { path: '^packages/[^/]+/dist', pathNot: '(/node-[^/]+\\.js$|^packages/millrace/dist/)' },
      to: { path: '^(node:)?(fs|fs/promises|net|timers|timers/promises|child_process|worker_threads|http|dgram|tls)$' },
    },
    {
      name: 'lmdb-only-in-kv',
      severity: 'error',
      from: { pathNot: '^packages/storage/dist/kv/' },
      to: { path: 'node_modules/lmdb' },
    },
    {
      name: 'tsyringe-only-in-the-composition-root',
      severity: 'error',
      from: { pathNot: '^packages/runtime/dist/service/' },
      to: { path: 'node_modules/(tsyringe|reflect-metadata)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(/bundle/|/target/)' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
}
