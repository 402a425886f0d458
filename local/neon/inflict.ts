/** What a call meets when a fault strikes it; the table in faults.ts says it in words. */
import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { LOCKED_MESSAGE, Refusal, type Answer, type Call, type World } from "./answer.ts"
import { quoteName, replaceBranch } from "./cell.ts"
import type { Fault } from "./faults.ts"
import { presentDatabase } from "./present.ts"

/** Carries on with the call, changed in part; throws a Refusal like any route. */
export type Act = (changes?: Partial<Pick<Call, "outcome" | "limit">>) => Promise<Answer>

// oxlint-disable typescript/consistent-return -- the switch is exhaustive, which the compiler checks
/** Answers in the fault's way; "dropped" asks for the connection to be cut. */
export async function inflict(fault: Fault, act: Act, world: World): Promise<Answer | "dropped"> {
  switch (fault.kind) {
    case "locked":
      throw new Refusal(423, LOCKED_MESSAGE)
    case "unavailable":
      throw new Refusal(503, "service unavailable")
    case "key-revoked":
      throw new Refusal(401, "supplied credentials do not pass authentication")
    case "rate-limited": {
      const headers = fault.retryAfter === undefined ? {} : { "Retry-After": String(fault.retryAfter) }
      throw new Refusal(429, "too many requests", "", headers)
    }
    case "bad-gateway":
      if (fault.acted) await act()
      return htmlPage(502, "Bad gateway")
    case "gateway-timeout":
      if (fault.acted) await act()
      return htmlPage(524, "A timeout occurred")
    case "delay": {
      const early = fault.acted ? await act() : undefined
      await sleep(fault.delayMs, undefined, { ref: false })
      return early ?? act()
    }
    case "drop-before":
      return "dropped"
    case "drop-after":
      await act()
      return "dropped"
    case "truncated-json":
      return truncated(await act())
    case "not-found":
      if (fault.acted) await act()
      throw new Refusal(404, "not found")
    case "no-content":
      await act()
      return { status: 204 }
    case "operation-failed":
      return act({ outcome: { kind: "fails", effectDone: fault.acted === true } })
    case "operation-stuck":
      return act({ outcome: { kind: "sticks", effectDone: fault.acted === true } })
    case "operation-error":
      return act({ outcome: { kind: "errs-first", retryMs: fault.retryMs } })
    case "operation-cancelled":
      return act({ outcome: { kind: "cancelled" } })
    case "background-lock":
      await world.operations.startBackgroundWork(fault.lockMs)
      return act()
    case "stale-list":
      return staleList(await act(), world)
    case "truncated-list":
      return shortList(await act(), fault.keep)
    case "branch-replaced":
      await replaceBranch(
        world.control,
        world.cell,
        fault.branchId ?? `br-restored-${randomBytes(4).toString("hex")}`,
      )
      return act()
    case "ids-replaced":
      await world.control.pool.query("update databases set id = nextval('database_ids')")
      return act()
    case "made-by-sql":
      await world.control.pool.query(
        `create database ${quoteName(fault.name)} owner ${quoteName(world.cell.owner)} template template0`,
      )
      return act()
    case "dropped-by-sql":
      await world.control.pool.query(`drop database if exists ${quoteName(fault.name)} with (force)`)
      return act()
    case "low-limit":
      return act({ limit: fault.limit })
  }
}

const htmlPage = (status: number, title: string): Answer => ({
  status,
  text: {
    type: "text/html; charset=UTF-8",
    content: `<!DOCTYPE html><html><head><title>${status}: ${title}</title></head><body><h1>${title}</h1></body></html>\n`,
  },
})

function truncated(answer: Answer): Answer {
  const whole = JSON.stringify(answer.body ?? {})
  return {
    ...answer,
    text: { type: "application/json", content: whole.slice(0, Math.max(1, Math.floor(whole.length / 2))) },
  }
}

function staleList(answer: Answer, { memory, cell }: World): Answer {
  const before = memory.databasesBefore
  if (before === undefined) return answer
  return { ...answer, body: { databases: before.map((row) => presentDatabase(cell, row)) } }
}

function shortList(answer: Answer, keep: number | undefined): Answer {
  const { databases } = answer.body as { databases: unknown[] }
  return { ...answer, body: { databases: databases.slice(0, keep ?? Math.floor(databases.length / 2)) } }
}
