/** The JSON Schemas of the files that people write, made from the same definitions that validate them. */
import { z } from "zod"
import { Fleet } from "./fleet.ts"
import { Tenant } from "./tenant.ts"

const SCHEMAS = {
  tenant: { schema: Tenant, title: "A tenant of Tenantry" },
  fleet: { schema: Fleet, title: "The settings of a Tenantry fleet" },
}

/** The text of tenant.schema.json or fleet.schema.json, without the last line break. */
export const renderJsonSchema = (name: keyof typeof SCHEMAS): string => {
  const { schema, title } = SCHEMAS[name]
  return JSON.stringify({ title, ...z.toJSONSchema(schema, { io: "input" }) }, undefined, 2)
}
