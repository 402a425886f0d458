/** The stack's configuration, as Pulumi hands it to the program. */
import { RunError } from "@pulumi/pulumi/errors.js"
import { allConfig } from "@pulumi/pulumi/runtime/config.js"
import { parseSettings, type Settings } from "./settings.ts"

/** Throws an error that Pulumi shows without a stack. */
export function readSettings(): Settings {
  try {
    return parseSettings(allConfig())
  } catch (error) {
    throw new RunError((error as Error).message)
  }
}
