import type { ActorSystem } from '@millrace/core'
import { counter, type Metric, type Sample } from './metric.js'

/** Actors of one kind count together: `/group/name` and `/nameserver-link-host:port` are `group` and `nameserver-link`. */
function kindOf(path: string): string {
  const [first = ''] = path.split('/').filter(part => part !== '' && part !== 'millrace')
  return first.replace(/-[^-]*:\d+$/, '')
}

/** Mailboxes, restarts, and messages that reached nobody. */
export function actorMetrics(system: ActorSystem): () => Metric[] {
  let deadLetters = 0
  system.deadLetters.subscribe(() => deadLetters++)
  return () => {
    const kinds = new Map<string, { depth: number; overflows: number; restarts: number; handled: number }>()
    for (const { depth, handledCount, overflowCount, path, restartCount } of system.inspect()) {
      const kind = kindOf(path)
      const sums = kinds.get(kind) ?? { depth: 0, overflows: 0, restarts: 0, handled: 0 }
      sums.depth += depth
      sums.overflows += overflowCount
      sums.restarts += restartCount
      sums.handled += handledCount
      kinds.set(kind, sums)
    }
    const of = (
      name: string,
      help: string,
      kind: Metric['kind'],
      key: 'depth' | 'overflows' | 'restarts' | 'handled',
    ): Metric => ({
      name,
      help,
      kind,
      samples: [...kinds].map(([actor, sums]): Sample => ({ labels: { actor }, value: sums[key] })),
    })
    return [
      of('millrace_actor_mailbox_depth', 'Messages that wait for actors', 'gauge', 'depth'),
      // Gauges, as actors that are put away take their counts with them.
      of('millrace_actor_messages', 'Messages that the actors now running have handled', 'gauge', 'handled'),
      of('millrace_actor_mailbox_overflows', 'Messages that found a full mailbox', 'gauge', 'overflows'),
      of('millrace_actor_restarts', 'Restarts of the actors now running', 'gauge', 'restarts'),
      counter('millrace_dead_letters_total', 'Messages to actors that were gone', deadLetters),
    ]
  }
}
