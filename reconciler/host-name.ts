/** The name of a host in DNS, as a tenant's file gives it and as a request sends it. */
import { z } from "zod"

const EXAMPLE = "such as shop.brand.example"

/**
 * Labels of 1 to 63 letters, digits and inner hyphens, 253 characters in all (RFC 1123, 2.1). At least two labels, and
 * the last one begins with a letter, so that no address is a name.
 */
const HOST_NAME =
  /^(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

export const isHostName = (text: string): boolean => HOST_NAME.test(text)

/** What a tag of Key Vault holds, in characters; a tenant's hosts stand in one. */
const MAX_HOSTS = 256

/** Repeats what is wrong where that is one short word. */
const quoted = (text: string) => (/^[!-~]{1,100}$/.test(text) ? `"${text}" ` : "")

function explain(text: string): string {
  const ascii = /[^\0-\x7F]/.test(text) ? URL.parse(`http://${text}`)?.hostname : undefined
  if (ascii && isHostName(ascii)) return `must be in ASCII: write ${ascii}`
  if (text.includes("*")) return `${quoted(text)}must be one host: there are no wildcards, so list each host`
  if (/^[\d.]+$|^\[|::/.test(text)) return `${quoted(text)}must be a name in DNS, not an address`
  if (/[/:@?#]/.test(text))
    return `${quoted(text)}must be the host's name alone, without scheme, port or path, ${EXAMPLE}`
  if (text.endsWith(".")) return `${quoted(text)}must be without the dot at the end`
  if (!text.includes(".")) return `${quoted(text)}must be a whole name with its domain, ${EXAMPLE}`
  return `${quoted(text)}must be letters, digits and inner hyphens between dots, at most 63 each and 253 in all, ${EXAMPLE}`
}

const HostName = z
  .string({ error: `must be a host's name, ${EXAMPLE}` })
  .regex(HOST_NAME, { error: ({ input }) => explain(String(input)) })
  .refine((host) => !/\.localhost$/i.test(host), {
    error: "must not be in localhost: <name>.localhost is each tenant's host in development",
  })
  .transform((host) => host.toLowerCase())

/** The hosts by which a tenant is found: in lower case, each once, few enough for one tag of the vault. */
export const Hosts = z
  .array(HostName, { error: `must be a list of hosts' names, such as [shop.brand.example]` })
  .refine((hosts) => hosts.join(" ").length <= MAX_HOSTS, {
    error: `must be at most ${MAX_HOSTS} characters together, so that they fit one tag of Key Vault: name fewer or shorter ones`,
    abort: true,
  })
  .check(({ value, issues }) => {
    const twice = value.findIndex((host, index) => value.indexOf(host) < index)
    if (twice < 0) return
    const message = `${value[twice]} is there twice; keep one`
    issues.push({ code: "custom", input: value, path: [twice], message })
  })
