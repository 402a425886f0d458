/** The JSON Schemas of what people write and programs read, made from the same definitions that validate it. */
import { z } from "zod"
import { Fleet } from "./fleet.ts"
import { PlanDocument } from "./plan-document.ts"
import { Tenant } from "./tenant.ts"

const SCHEMAS = {
  tenant: { schema: Tenant, title: "A tenant of Tenantry" },
  fleet: { schema: Fleet, title: "The settings of a Tenantry fleet" },
  plan: { schema: PlanDocument, title: "A plan of Tenantry" },
}

export const SCHEMA_NAMES = ["tenant", "fleet", "plan"] as const

/** The text of tenant.schema.json or fleet.schema.json, or the schema of a plan, without the last line break. */
export const renderJsonSchema = (name: (typeof SCHEMA_NAMES)[number]): string => {
  const { schema, title } = SCHEMAS[name]
  return JSON.stringify({ title, ...z.toJSONSchema(schema, { io: "input" }) }, undefined, 2)
}
