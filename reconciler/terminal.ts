/** What the place that text is written to can show. */
import { styleText } from "node:util"
import stringWidth from "string-width"

export type Colour = "red" | "green" | "yellow" | "dim" | "bold"

/** `width`: columns. `paint` returns the text as it is where there are no colours. */
export type Look = { width: number; paint: (colour: Colour, text: string) => string }

/** Columns where there is no terminal. */
const USUAL = 100
const NARROWEST = 20

export const PLAIN: Look = { width: USUAL, paint: (_, text) => text }

/** Colours on a terminal that has them, unless NO_COLOR is set; FORCE_COLOR asks for them anywhere. */
export const lookOf = (stream: NodeJS.WriteStream): Look => ({
  width: Math.max(NARROWEST, stream.columns ?? USUAL),
  paint: (colour, text) => styleText(colour, text, { stream, validateStream: true }),
})

/** Names come from outside: what would move the cursor or hide a line is shown as "?". */
export const safe = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu, "?")

/** Columns that the text takes. */
export const widthOf = (text: string): number => stringWidth(text)

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** The text in at most `width` columns; "…" where something is left out. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let kept = ""
  let room = width - 1
  for (const { segment } of graphemes.segment(text)) {
    room -= widthOf(segment)
    if (room < 0) break
    kept += segment
  }
  return width > 0 ? `${kept}…` : ""
}

/** The text with blanks behind it up to `width` columns. */
export const pad = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - widthOf(text)))
