/** Whether the process lives, and whether it should be sent requests. */
import { Router } from "express"
import { methodNotAllowed } from "./routes.ts"

export type Readiness = {
  isReady: () => Promise<boolean>
  /** From now on not ready: the process is about to end. */
  drain: () => void
  isDraining: () => boolean
}

/** Asks the vault at most once in `interval` milliseconds, and waits at most `patience` milliseconds for it. */
export function watchReadiness(
  reachVault: (signal: AbortSignal) => Promise<unknown>,
  { now, interval, patience }: { now: () => number; interval: number; patience: number },
): Readiness {
  let isDraining = false
  let last: { at: number; answer: Promise<boolean> } | undefined
  const ask = () => {
    const late = Promise.withResolvers<boolean>()
    const signal = AbortSignal.timeout(patience)
    signal.addEventListener("abort", () => late.resolve(false))
    const reached = reachVault(signal).then(
      () => true,
      () => false,
    )
    return Promise.race([reached, late.promise])
  }
  return {
    async isReady() {
      if (isDraining) return false
      if (!last || now() - last.at > interval) last = { at: now(), answer: ask() }
      return (await last.answer) && !isDraining
    },
    drain: () => void (isDraining = true),
    isDraining: () => isDraining,
  }
}

/** /livez depends on nothing; /readyz is 503 without the vault and while the process ends. */
export function health(readiness: Readiness): Router {
  const router = Router()
  router
    .route("/livez")
    .get((_request, response) => void response.json({ status: "live" }))
    .all(methodNotAllowed("GET, HEAD"))
  router
    .route("/readyz")
    .get(async (_request, response) => {
      const isReady = await readiness.isReady()
      response.status(isReady ? 200 : 503).json({ status: isReady ? "ready" : "not ready" })
    })
    .all(methodNotAllowed("GET, HEAD"))
  return router
}
