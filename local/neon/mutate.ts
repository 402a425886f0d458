/** The one way in which a call changes something: one change at a time in the project. */
import { LOCKED_MESSAGE, Refusal, type Answer, type Call, type World } from "./answer.ts"
import { type DatabaseRow, listDatabases } from "./catalogue.ts"
import type { Queryable } from "./control.ts"
import type { Effect } from "./effects.ts"
import { presentOperation } from "./present.ts"
import type { OperationRow } from "./run-change.ts"

export type Decision =
  | { kind: "change"; effect: Effect; status: 200 | 201; body: Record<string, unknown> }
  | { kind: "answer"; answer: Answer }

/**
 * Refuses with 423 while another change is under way; otherwise lets `decide` look and record its intent, and schedules
 * the change in the same transaction. The answer is `decide`'s body with the operations to wait for.
 */
export async function mutate(
  call: Call,
  world: World,
  decide: (client: Queryable, databases: readonly DatabaseRow[]) => Promise<Decision>,
): Promise<Answer> {
  let recorded: OperationRow[] = []
  const answering = world.control.transaction(async (client): Promise<Answer> => {
    if (!(await world.operations.lock(client))) throw new Refusal(423, LOCKED_MESSAGE)
    const databases = await listDatabases(client)
    const decision = await decide(client, databases)
    if (decision.kind === "answer") return decision.answer
    world.memory.databasesBefore = databases
    recorded = await world.operations.schedule(client, decision.effect)
    const operations = recorded.map((row) => presentOperation(world.cell, row))
    return { status: decision.status, body: { ...decision.body, operations } }
  })
  const answer = await answering.catch((error: unknown) => {
    // Postgres may have committed before it went away: then the change is under way, and nobody was told.
    if (!(error instanceof Refusal)) world.operations.abandon(recorded)
    throw error
  })
  world.operations.start(recorded, call.outcome)
  return answer
}
