/** Hands `items` to so many workers; each takes the next one from `left` when it is ready for it. */
export async function handOut<T>(
  items: readonly T[],
  workers: number,
  work: (left: Iterable<T>) => Promise<void>,
): Promise<void> {
  const left = items.values()
  await Promise.all(Array.from({ length: workers }, () => work(left)))
}
