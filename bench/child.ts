/** A contestant in a process of its own, which takes its turns by messages. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"

export type Child = {
  /** Sends a message and waits for the answer. Throws where the process ends instead. */
  ask: <T>(message: unknown) => Promise<T>
  close: () => Promise<void>
}

/** Starts a program that serves, and prints first what leads to it; `close` ends it. Throws where it ends instead. */
export async function startServing(
  program: string,
  words: readonly string[],
): Promise<{ said: string; close: () => void }> {
  const child = fork(program, words, { stdio: ["ignore", "pipe", "inherit", "ipc"] })
  const ended = once(child, "exit").then(() => undefined)
  const said = (await Promise.race([once(child.stdout!, "data"), ended])) as [Buffer] | undefined
  if (!said) throw new Error(`${program} has ended: see above`)
  const close = () => {
    if (child.connected) child.disconnect()
  }
  return { said: said[0].toString(), close }
}

/** Starts `program` with this environment added to ours; what it prints is seen. */
export function startChild(program: string, words: readonly string[], env: Record<string, string>): Child {
  const child: ChildProcess = fork(program, words, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  })
  const ended = once(child, "exit").then(() => undefined)
  return {
    ask: async <T>(message: unknown) => {
      child.send(message as object)
      const answer = (await Promise.race([once(child, "message"), ended])) as [T] | undefined
      if (!answer) throw new Error(`${program} has ended: see above`)
      return answer[0]
    },
    close: async () => {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}
