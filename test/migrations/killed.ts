import { spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { onTestFinished } from "vitest"
import { eventually } from "../eventually.ts"
import { folderOf } from "../reconciler/folder.ts"

/** Lets a process migrate the database until `probe` no longer throws, and kills it with -9 at that moment. */
export async function killRunner(
  uri: string,
  files: Record<string, string>,
  probe: () => Promise<void>,
): Promise<void> {
  const folder = await folderOf(files)
  const runner = spawn(process.execPath, [path.join(import.meta.dirname, "runner.ts"), uri, folder], {
    stdio: "inherit",
  })
  onTestFinished(() => void runner.kill("SIGKILL"))
  const ended = once(runner, "exit")
  await eventually("the runner is in the middle of it", async () => {
    if (runner.exitCode !== null) throw new Error(`the runner has ended with ${runner.exitCode}`)
    await probe()
  })
  runner.kill("SIGKILL")
  await ended
}
