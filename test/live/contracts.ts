/** The contract suites, run by vitest as a process of its own, on whatever services the environment names. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { createInterface } from "node:readline"

const ROOT = path.resolve(import.meta.dirname, "../..")

/** Runs them to their end, telling each line. Throws where a promise was not kept, or when `signal` aborts. */
export async function keepContracts(
  environment: NodeJS.ProcessEnv,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const vitest = path.join(ROOT, "node_modules/vitest/vitest.mjs")
  const words = [vitest, "run", "--config", path.join(import.meta.dirname, "vitest.config.ts")]
  const child = spawn(process.execPath, words, {
    cwd: ROOT,
    env: { ...environment, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const stop = () => void child.kill("SIGKILL")
  signal.addEventListener("abort", stop, { once: true })
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on("line", (line) => tell(`      ${line}`))
  const [code] = (await once(child, "close")) as [number | null]
  signal.removeEventListener("abort", stop)
  signal.throwIfAborted()
  if (code !== 0) throw new Error(`vitest ended with ${code}; its lines above say which promise was not kept`)
}
