/** What every part of a deployment needs to know. */
import type { Input, Output } from "@pulumi/pulumi"
import type { Names } from "./names.ts"
import type { Settings } from "./settings.ts"

export type Place = {
  settings: Settings
  names: Names
  resourceGroupName: Input<string>
  location: string
  tags: Record<string, string>
  /** GUIDs of the subscription and of the directory. */
  subscriptionId: Output<string>
  directoryId: Output<string>
}
