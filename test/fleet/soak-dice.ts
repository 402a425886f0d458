/** Chance that can be repeated: the same seed makes the same choices. */
export type Dice = {
  /** From 0 up to 1, without 1. */
  next: () => number
  /** True once in `n` throws. */
  oneIn: (n: number) => boolean
  /** One of them; undefined where there is none. */
  of: <T>(items: readonly T[]) => T | undefined
  /** `count` different ones, or all where there are fewer. */
  some: <T>(items: readonly T[], count: number) => T[]
}

/** The generator is Mulberry32, by Tommy Ettinger, in the public domain. */
export function throwDice(seed: number): Dice {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const some = <T>(items: readonly T[], count: number): T[] => {
    const rest = [...items]
    return Array.from({ length: Math.min(count, rest.length) }, () =>
      rest.splice(Math.floor(next() * rest.length), 1),
    ).flat()
  }
  return { next, oneIn: (n) => next() < 1 / n, of: (items) => some(items, 1)[0], some }
}

/** A UUID that the dice decide. */
export function diceId({ next }: Dice): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(next() * 16).toString(16)).join("")
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `8${digits.slice(17, 20)}`,
    digits.slice(20),
  ].join("-")
}
