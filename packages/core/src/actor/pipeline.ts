import { Observable, Subject } from 'rxjs'
import type { ActorContext, Behavior } from './types.js'

/** What a pipeline needs of its actor. */
export interface PipelineOwner<M> {
  /** Somebody subscribed to the inbox: messages that waited for that can go out. */
  subscribed(): void
  failed(error: unknown, batch: readonly M[]): void
  completed(): void
}

/** A behaviour that runs as an Observable, for one incarnation of its actor. */
export class ActorPipeline<M> {
  readonly #inbox = new Subject<readonly M[]>()
  readonly #close: () => void
  /** The batch that is on its way through right now. */
  #published: readonly M[] = []
  #isClosed = false

  constructor(behavior: Behavior<M>, context: ActorContext<M>, owner: PipelineOwner<M>) {
    const inbox = new Observable<readonly M[]>(subscriber => {
      const subscription = this.#inbox.subscribe(subscriber)
      owner.subscribed()
      return subscription
    })
    const pipeline = behavior(inbox, context).subscribe({
      error: error => {
        if (!this.#isClosed) owner.failed(error, this.#published)
      },
      complete: () => {
        if (!this.#isClosed) owner.completed()
      },
    })
    this.#close = () => pipeline.unsubscribe()
  }

  get hasSubscriber(): boolean {
    return this.#inbox.observed
  }

  publish(batch: readonly M[]): void {
    this.#published = batch
    this.#inbox.next(batch)
    this.#published = []
  }

  /** Breaks off what is under way. */
  close(): void {
    this.#isClosed = true
    this.#close()
  }
}
