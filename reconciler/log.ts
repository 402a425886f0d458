/** JSON logs on standard error, and the one place that takes credentials out of text. */
import { AsyncLocalStorage } from "node:async_hooks"
import { trace } from "@opentelemetry/api"
import pino from "pino"

const known = new Set<string>()

/** From now on this exact text is cut out of every log line, error and status. */
export function keepSecret(secret: string): void {
  if (secret.length >= 8) known.add(secret)
}

/** The text without the credentials that are known or that look like one. */
export function redact(text: string): string {
  let clean = text
    .replaceAll(/(postgres(?:ql)?:\/\/[^:@/\s"]*:)[^@\s"]*@/gi, "$1***@")
    .replaceAll(/(bearer\s+)[\w.~+/-]{8,}=*/gi, "$1***")
    .replaceAll(/((?:password|secret|api[_-]?key|token)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',\\}]{6,}/gi, "$1***")
  for (const secret of known) clean = clean.replaceAll(secret, "***")
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
