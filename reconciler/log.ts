/** JSON logs on standard error, and the one place that takes credentials out of text. */
import { AsyncLocalStorage } from "node:async_hooks"
import { trace } from "@opentelemetry/api"
import pino from "pino"

/** What the settings and the services gave us: few. */
const given = new Set<string>()
/** What we made ourselves, the newest last: a large fleet's passwords would be too many to look for in each line. */
const made = new Set<string>()
const MADE_KEPT = 1000

/** From now on this exact text is cut out of every log line, error and status. */
export function keepSecret(secret: string): void {
  if (secret.length >= 8) given.add(secret)
}

/** The same for a credential that we made; the newest thousand are looked for, and their places in text always are. */
export function keepMadeSecret(secret: string): void {
  made.add(secret)
  for (const oldest of made) if (made.size > MADE_KEPT) made.delete(oldest)
}

/** What looks like a credential, wherever it stands. The first group, where there is one, tells people where to look. */
const SHAPES: [RegExp, string][] = [
  // Passwords of Postgres may hold any character, also unencoded ones.
  [/(postgres(?:ql)?:\/\/[^:@/\s"]*:)[^@\s"]*@/gi, "$1***@"],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^:@/\s"]*:)[^@/\s"]+@/gi, "$1***@"],
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, "***"],
  [/((?:bearer|basic)\s+)[\w.~+/-]{8,}=*/gi, "$1***"],
  [/\b(napi_|whsec_)[\w+/=-]{8,}/g, "$1***"],
  [/\b(tenantry-\d+=)[\w-]{20,}/g, "$1***"],
  [/([?&](?:sig|code|key)=)[^&\s"']{6,}/gi, "$1***"],
  [/(-----BEGIN [A-Z ]*PRIVATE KEY-----)(?:(?!-----END)[\s\S])*/g, "$1***"],
  [
    /((?:password|passwd|pwd|secret|api[_-]?key|accountkey|token|identity[_-]header)\\?["']?\s*[:=,]\s*\\?["']?)[^\s"',\\}]{6,}/gi,
    "$1***",
  ],
]

/** The text without the credentials that are known or that look like one. */
export function redact(text: string): string {
  let clean = text
  for (const [shape, mark] of SHAPES) clean = clean.replaceAll(shape, mark)
  for (const secret of given) clean = clean.replaceAll(secret, "***")
  for (const secret of made) clean = clean.replaceAll(secret, "***")
  return clean
}

const fields = new AsyncLocalStorage<Record<string, unknown>>()

/** Every line that is logged in `work`, and in what it starts, has these fields: which pass or request it belongs to. */
export const withLogFields = <T>(more: Record<string, unknown>, work: () => T): T =>
  fields.run({ ...fields.getStore(), ...more }, work)

/** What belongs to the pass or request of a line, and to its trace where there is one. */
function fieldsNow(): Record<string, unknown> {
  const span = trace.getActiveSpan()?.spanContext()
  return { ...fields.getStore(), ...(span ? { trace_id: span.traceId, span_id: span.spanId } : {}) }
}

/** An unknown level is the configuration's to refuse; until then the usual one serves. */
const levelOf = (name = "info") => (name in pino.levels.values ? name : "info")

/** A logger whose lines are a constant message and fields. */
export const createLogger = (
  name: string,
  write: (line: string) => unknown = (line) => process.stderr.write(line),
): pino.Logger =>
  pino(
    {
      base: { name },
      level: levelOf(process.env["LOG_LEVEL"]),
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: fieldsNow,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => write(redact(line)) },
  )

export type Logger = pino.Logger
