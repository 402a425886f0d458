/** Where Node keeps what it has compiled, for all processes that tests start: most of a short one is its start. */
import path from "node:path"

/** Environment for a process of the repository's; the folder goes with node_modules. */
export const COMPILED = {
  NODE_COMPILE_CACHE: path.resolve(import.meta.dirname, "../node_modules/.cache/compiled"),
}
