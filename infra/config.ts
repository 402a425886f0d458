/** The stack's configuration, as Pulumi hands it to the program. */
import { getStack } from "@pulumi/pulumi"
import { RunError } from "@pulumi/pulumi/errors.js"
import { allConfig } from "@pulumi/pulumi/runtime/config.js"
import { type Names, namesOf } from "./names.ts"
import { parseSettings, type Settings } from "./settings.ts"

/** Throws an error that Pulumi shows without a stack trace. */
export function readStack(): { settings: Settings; names: Names } {
  try {
    const settings = parseSettings(allConfig())
    return { settings, names: namesOf(settings.name, getStack()) }
  } catch (error) {
    throw new RunError((error as Error).message)
  }
}
