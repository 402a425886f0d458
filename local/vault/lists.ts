import { deletedRow, bundle, row, type Frame } from "./bundle.ts"
import { cutPage, linkTo, pageOf, type Page, type Shape } from "./paging.ts"
import { stateOf, type Secret } from "./secret.ts"
import type { View } from "./store.ts"

/** One call for a page: the secrets to list from (`view`), and how the page is to come out. */
export type ListCall = {
  frame: Frame
  view: View
  now: number
  query: URLSearchParams
  apiVersion: string
  shape: Shape
}

function page(
  call: ListCall,
  path: string,
  keys: readonly string[],
  rowOf: (key: string) => Record<string, unknown> | undefined,
): Page {
  const { after, size } = pageOf(call.query)
  const link = linkTo(call.frame.origin, path, call.apiVersion, size)
  return cutPage(keys, { after, size, shape: call.shape }, rowOf, link)
}

function rowIn(
  call: ListCall,
  state: "active" | "deleted",
  show: (secret: Secret) => Record<string, unknown>,
) {
  return (key: string) => {
    const secret = call.view.find(key)
    return secret !== undefined && stateOf(secret, call.now) === state ? show(secret) : undefined
  }
}

/** A page of the active secrets, disabled ones included, without values. */
export function listSecrets(call: ListCall): Page {
  const show = rowIn(call, "active", (secret) => row(call.frame, secret))
  return page(call, "/secrets", call.view.keys(), show)
}

/** A page of the deleted secrets. */
export function listDeleted(call: ListCall): Page {
  const show = rowIn(call, "deleted", (secret) => deletedRow(call.frame, secret))
  return page(call, "/deletedsecrets", call.view.keys(), show)
}

/** A page of a secret's versions; no page, and no error, for an unknown name. */
export function listVersions(call: ListCall, name: string): Page {
  const secret = call.view.find(name)
  const shown = secret !== undefined && stateOf(secret, call.now) === "active" ? secret.versions : []
  const rows = new Map(
    shown.map((version) => [version.id, bundle(call.frame, secret?.name ?? name, version)]),
  )
  return page(call, `/secrets/${name}/versions`, [...rows.keys()].sort(), (key) => rows.get(key))
}
