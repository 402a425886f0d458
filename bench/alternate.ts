/** For contestants that take turns within a round, so that a moment in which the machine is slow meets all of them. */
import type { Figures } from "./bench.ts"

/** By name, what measures that contestant: the first one of a round has `pass` measure all of them. */
export function alternately(
  pass: () => Promise<Record<string, Figures>>,
): (name: string) => () => Promise<Figures> {
  const untold = new Map<string, Figures>()
  return (name) => async () => {
    if (!untold.has(name))
      for (const [each, figures] of Object.entries(await pass())) untold.set(each, figures)
    const figures = untold.get(name)!
    untold.delete(name)
    return figures
  }
}
