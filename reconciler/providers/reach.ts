/** Whether a service answers at all, and what time it has. */
import { TransientError } from "../errors.ts"

const TIMEOUT = 10_000

/**
 * One unauthenticated request; any answer will do. `skew`: how far the service's clock is ahead of ours, in
 * milliseconds, within a second; undefined where it does not say. Throws TransientError where nothing answers.
 */
export async function reach(url: string): Promise<{ ms: number; skew: number | undefined }> {
  const { host } = new URL(url)
  const begun = Date.now()
  const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT) }).catch(
    (error: unknown) => {
      const { cause } = error as { cause?: { code?: string } }
      const why = cause?.code ?? (error as Error).name
      throw new TransientError("Unreachable", `${host} does not answer (${why})`)
    },
  )
  const ms = Date.now() - begun
  await response.body?.cancel()
  const date = Date.parse(response.headers.get("date") ?? "")
  // The header has whole seconds, rounded down, and was written while we waited.
  const skew = Number.isNaN(date) ? undefined : date + 500 - (begun + ms / 2)
  return { ms, skew }
}
